"""Files of tick frames, as `tapeline capture` writes them: a frame of the tape per line, without its marks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, cast

import numpy as np

from tapeline.errors import BadData, Misconfigured
from tapeline.feed.framer import Instrument, Ticks
from tapeline.model.codec import Decoder
from tapeline.model.columns import TickKind
from tapeline.model.frames import Array, TickFrame

FRAMES_SUFFIX: Final = ".frames.ndjson"
_TIMES: Final = ("ts_event", "ts_recv", "ts_ref")


def find_frame_files(path: Path) -> list[Path]:
    """Return the files of frames that `path` stands for: itself, or those of a folder, by their names.

    Raises Misconfigured where the folder cannot be read.
    """
    try:
        found = sorted(path.iterdir()) if path.is_dir() else [path]
        return [file for file in found if file.name.endswith(FRAMES_SUFFIX) and file.is_file()]
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read: {error.strerror}") from None


def read_frames(path: Path) -> Iterator[tuple[TickFrame, int]]:
    """Yield the frames of a file, each with the bytes read so far.

    Raises BadData, which names the line, after the frames before it; Misconfigured where the file cannot be read.
    """
    decoder = Decoder()
    bytes_read = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                bytes_read += len(line)
                try:
                    if not line.endswith(b"\n"):
                        raise BadData("line", "must end; it was cut off", "capture it again")
                    frame = decoder.decode(line)
                except BadData as error:
                    where = f"{path.name}, line {number}: {error.field}"
                    raise BadData(where, error.rule, error.remedy) from None
                yield frame, bytes_read
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read: {error.strerror}") from None


def streams_of(files: Iterable[Path]) -> dict[str, str]:
    """Return the streams in files of frames, each with its dataset. Raises as `read_frames` does."""
    return {frame.stream: frame.dataset for file in files for frame, _ in read_frames(file)}


def ticks_of(frame: TickFrame, stream: str, shift_ns: int) -> Ticks:
    """Return the ticks of a frame as those of `stream`, all times shifted by `shift_ns`."""
    ids = np.array(frame.instrument_ids, dtype=np.int64)
    named = zip(frame.instrument_ids, frame.symbols, frame.classes, strict=True)
    return Ticks(
        stream=stream,
        dataset=frame.dataset,
        publisher_id=frame.publisher_id,
        # Marks are not captured.
        kind=cast(TickKind, frame.kind),
        instrument_ids=ids[frame.columns["symbol"]],
        columns={name: _absolute(frame, name, shift_ns) for name in frame.columns if name != "symbol"},
        undefined=frame.undefined,
        directory={number: Instrument(symbol, letter) for number, symbol, letter in named},
        origin="saved",
    )


def _absolute(frame: TickFrame, name: str, shift_ns: int) -> Array:
    values = frame.columns[name]
    if name not in _TIMES:
        return values
    times: Array = values + np.int64(frame.ts_base + shift_ns)
    times[frame.undefined.get(name, [])] = 0
    return times
