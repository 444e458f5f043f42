"""What is missing on a tape, from the files that it was made of."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest
from tests.unit.saved.files import DATASET, LATENCY_NS, START_NS, head, mbo

from tapeline.errors import Misconfigured
from tapeline.feed.framer import Ticks
from tapeline.model.backfill import BackfillRequest, request_id
from tapeline.model.codec import encode
from tapeline.model.columns import TickKind
from tapeline.model.control import Interval
from tapeline.model.frames import TickFrame
from tapeline_saved.backfill import SavedBackEnd, SavedBackfiller
from tapeline_saved.settings import SavedSettings

MS = 1_000_000
WINDOW = Interval(ts_event_from=START_NS + 2 * MS, ts_event_until=START_NS + 5 * MS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One file of two symbols in turn, 1 ms apart, the fifth record a snapshot's; and another stream's."""
    received = [START_NS + LATENCY_NS + index * MS for index in range(8)]
    records = [
        mbo(index, at_ns, instrument_id=7 + index % 2, flags=160 if index == 4 else 130)
        for index, at_ns in enumerate(received)
    ]
    (tmp_path / "both.1.dbn").write_bytes(head(("NQH6", "NQM6")) + b"".join(records))
    (tmp_path / "other.1.dbn").write_bytes(head(("NQH6",)) + b"".join(records))
    return tmp_path


def back_end(folder: Path, **settings: object) -> SavedBackEnd:
    (found,) = SavedBackfiller(SavedSettings.model_validate({"path": str(folder), **settings})).back_ends()
    assert isinstance(found, SavedBackEnd)
    return found


def request(
    symbols: tuple[str, ...] = ("*",), stream: str = f"{DATASET}/both", kind: TickKind = "mbo"
) -> BackfillRequest:
    return BackfillRequest(
        id=request_id("saved", DATASET, stream, kind, symbols, WINDOW),
        source="saved",
        dataset=DATASET,
        stream=stream,
        kind=kind,
        symbols=symbols,
        window=WINDOW,
        requested_by="test",
        requested_at=START_NS,
    )


async def fetched(way: SavedBackEnd, asked: BackfillRequest) -> list[Ticks]:
    async with aclosing(way.fetch(asked, asked.window)) as coming:
        return [ticks async for ticks in coming]


def sequences(ticks: list[Ticks]) -> list[int]:
    return [sequence for each in ticks for sequence in each.columns["sequence"].tolist()]


async def test_the_ticks_of_the_window_are_read_from_the_stream_s_files(folder: Path) -> None:
    way = back_end(folder)
    assert way.reach(request(), 0) == WINDOW
    ticks = await fetched(way, request())
    assert sequences(ticks) == [2, 3]
    assert {(each.origin, each.stream) for each in ticks} == {("backfill", f"{DATASET}/both")}
    assert await way.count(request(), WINDOW) == 2
    assert (await way.estimate(request(), WINDOW)).records == 2


async def test_some_symbols(folder: Path) -> None:
    assert sequences(await fetched(back_end(folder), request(("NQM6",)))) == [3]


async def test_a_stream_that_the_settings_name(folder: Path) -> None:
    named = request(stream="mine")
    assert sequences(await fetched(back_end(folder / "both.1.dbn", stream="mine"), named)) == [2, 3]
    assert await fetched(back_end(folder), named) == []


async def test_captured_frames(tmp_path: Path) -> None:
    origin = "XTST.SYNTH/NQ"
    frame = TickFrame(
        source="databento",
        dataset=DATASET,
        publisher_id=1,
        stream=origin,
        kind="status",
        session="0193c1d2-0000-7000-8000-000000000000",
        epoch=1,
        frame=0,
        origin="live",
        ts_base=START_NS,
        opened=START_NS,
        sent=START_NS,
        continues=False,
        trading_day="2026-01-01",
        symbols=("NQH6",),
        instrument_ids=(7,),
        classes="F",
        resumes=None,
        columns={
            "ts_event": np.array([0, 3 * MS, 9 * MS]),
            "ts_recv": np.array([1, 3 * MS + 1, 9 * MS + 1]),
            "symbol": np.zeros(3, dtype=np.int64),
            "action": np.array([7, 8, 7]),
            "reason": np.array([1, 2, 3]),
            "is_trading": np.frombuffer(b"YNY", dtype=np.uint8),
            "is_quoting": np.frombuffer(b"YNY", dtype=np.uint8),
        },
        undefined={},
    )
    (tmp_path / "status.frames.ndjson").write_bytes(encode(frame) + b"\n")
    (ticks,) = await fetched(back_end(tmp_path), request(stream=origin, kind="status"))
    assert ticks.columns["reason"].tolist() == [2]
    assert ticks.columns["ts_event"].tolist() == [START_NS + 3 * MS]
    assert ticks.origin == "backfill"


async def test_files_that_are_cut_are_told(folder: Path) -> None:
    whole = (folder / "both.1.dbn").read_bytes()
    (folder / "both.1.dbn").write_bytes(whole[:-1])
    with pytest.raises(Misconfigured, match="the stream was cut"):
        await fetched(back_end(folder), request())


@pytest.mark.parametrize("settings", [{"path": "-"}, {"rebase": True}])
def test_files_whose_times_are_not_the_tapes_are_refused(folder: Path, settings: dict[str, object]) -> None:
    with pytest.raises(Misconfigured, match="TAPELINE_SAVED_PATH"):
        back_end(folder, **settings)
