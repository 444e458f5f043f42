"""The ticks that every measurement uses: real ESH4 order by order, or the synthetic market where that is absent."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tapeline.feed.calendar import calendar_of
from tapeline.feed.dbn import open_dbn
from tapeline.feed.framer import FrameLimits, Framer, SessionIdentity, Ticks
from tapeline.model.codec import Decoder, encode
from tapeline.model.frames import TickFrame
from tapeline_saved.normalize import Normalizer

REPOSITORY: Final = Path(__file__).parents[2]
STREAM: Final = "GLBX.MDP3/BENCH"
_REAL: Final = Path("databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst")
_SYNTHETIC_TIMEOUT_S: Final = 300


@dataclass(frozen=True, slots=True)
class TicksFile:
    """A DBN file of order-by-order ticks; `says` describes it in words."""

    path: Path
    ticks: int
    says: str

    def passes(self, ticks: int) -> int:
        """Return how often the file must be replayed for at least so many ticks."""
        return -(-ticks // self.ticks)


def find(folder: Path) -> TicksFile:
    """Return the real file of TAPELINE_REAL_DATA (default ../shared/data), else a synthetic one made in `folder`."""
    real = Path(os.environ.get("TAPELINE_REAL_DATA") or REPOSITORY.parent / "shared" / "data") / _REAL
    if real.is_file():
        return TicksFile(real, _count(real), "real ESH4 order by order, 2023-12-25")
    made = folder / "market.dbn"
    if not made.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        partial = made.with_suffix(".partial")
        market = [sys.executable, "-m", "tapeline_cli", "simulate", "market", "--seed", "1", "--speed", "max"]
        shape = ["--seconds", "1800", "--rate", "40", "--start", "2024-01-16T15:00:00", "--symbols", "NQH4"]
        subprocess.run([*market, *shape, "-o", str(partial)], check=True, timeout=_SYNTHETIC_TIMEOUT_S)
        partial.replace(made)
    return TicksFile(made, _count(made), "the synthetic market, as no real data was found")


def batches(path: Path) -> Iterator[Ticks]:
    """Yield the file's ticks as the producer's framer gets them."""
    with open_dbn(path) as reader:
        dataset = reader.metadata.dataset
        normalizer = Normalizer(STREAM, dataset, reader.symbology, reader.instrument_classes)
        for batch in reader.batches():
            yield normalizer.ticks(batch)


def frames(path: Path) -> list[TickFrame]:
    """Return the file's ticks as the frames that a processor decodes, of the default size."""
    decoder = Decoder()
    framer: Framer | None = None
    made: list[TickFrame] = []
    for ticks in batches(path):
        if framer is None:
            identity = SessionIdentity("saved", "first", 1, "saved")
            framer = Framer(identity, FrameLimits(), calendar_of(ticks.dataset))
        made += framer.add(ticks, now_ns=0)
    if framer is not None:
        made += framer.finish(now_ns=0)
    return [decoder.decode(encode(frame)) for frame in made]


def _count(path: Path) -> int:
    return sum(len(ticks) for ticks in batches(path))
