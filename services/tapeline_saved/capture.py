"""The command `tapeline capture`: what is on topics of chains and ticks, in files for `tapeline replay`."""

from __future__ import annotations

import signal
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType, TracebackType
from typing import Annotated, BinaryIO, Final, Self

import orjson
import typer

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.consumer import Reader, consume
from tapeline.bus.topics import load_topics
from tapeline.errors import BadData, Misconfigured
from tapeline.model import frames
from tapeline.model.chain_codec import SCHEMA
from tapeline.model.codec import encode
from tapeline.model.frames import TickFrame
from tapeline_saved.chain_files import CHAINS_SUFFIX
from tapeline_saved.frame_files import FRAMES_SUFFIX

_WAIT_S: Final = 0.25
_PART_SUFFIX: Final = ".part"


def capture(
    topics: Annotated[list[str], typer.Argument(help="Topics of chains or ticks, such as md.chains.databento.v1.")],
    output: Annotated[Path, typer.Option(help="Folder for the files, one per topic; made where it is missing.")],
    seconds: Annotated[float | None, typer.Option(min=0, help="End after so many seconds.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many messages.")] = None,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Begin with the oldest that is kept, not with now.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="End with one JSON object per file.")] = False,
) -> None:
    """Write option chains or ticks of topics to files, until Ctrl-C, SIGTERM, --seconds or --count.

    A file gets its name once it is whole, and `tapeline replay` puts it on the tape again: chains on
    md.chains.saved.v1, where they differ only in source, mode and time of publishing; ticks on md.ticks.saved.v1, in
    frames of their own and without the marks between them.
    """
    endings = {topic: _ending(topic) for topic in topics}
    stop = _Stop()
    deadline_s = None if seconds is None else time.monotonic() + seconds
    with ExitStack() as closing:
        reader = closing.enter_context(consume(*topics, start="earliest" if from_start else "latest"))
        at = datetime.now(UTC)
        files = {
            namespaced(topic): closing.enter_context(CaptureFile(output, topic, ending, at))
            for topic, ending in endings.items()
        }
        written = 0
        while not stop.asked and (count is None or written < count):
            if deadline_s is not None and time.monotonic() >= deadline_s:
                break
            written += _take(reader, files)
    for file in files.values():
        _report(file, json=json)


class CaptureFile:
    """A file with a message per line. It gets its name on leaving; without a message there is none.

    Raises Misconfigured where it cannot be written.
    """

    def __init__(self, folder: Path, topic: str, ending: str, at: datetime) -> None:
        self.topic = topic
        self.path = folder / f"{at:%Y%m%dT%H%M%SZ}-{topic}{ending}"
        self.messages = 0
        self._part = self.path.with_name(self.path.name + _PART_SUFFIX)
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._part.rename(self.path)

    def write(self, message: bytes) -> None:
        """Append a message as a whole line."""
        try:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._part.open("xb")
            self._file.write(message + b"\n")
            self._file.flush()
        except OSError as error:
            raise Misconfigured(f"{self._part}: cannot be written: {error.strerror}") from None
        self.messages += 1


class _Stop:
    """Whether a signal has asked for the end."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True


def _ending(topic: str) -> str:
    """Return how files of a topic's messages end. Raises Misconfigured where it is not one to capture."""
    endings = {SCHEMA: CHAINS_SUFFIX, frames.SCHEMA: FRAMES_SUFFIX}
    known = {name: endings[each.value_schema] for name, each in load_topics().items() if each.value_schema in endings}
    if topic not in known:
        raise Misconfigured(f"{topic}: is no topic of chains or ticks; there are {', '.join(known)}")
    return known[topic]


def _take(reader: Reader, files: dict[str, CaptureFile]) -> int:
    """Write what comes next, and return how many messages that were."""
    try:
        record = reader.read(_WAIT_S)
    except BadData as error:
        sys.stderr.write(f"tapeline: passed over a bad message: {error} {' '.join(error.__notes__)}\n")
        return 0
    if record is None or (isinstance(record.value, TickFrame) and record.value.frame is None):
        return 0
    value = record.value
    files[record.topic].write(encode(value) if isinstance(value, TickFrame) else orjson.dumps(value))
    return 1


def _report(file: CaptureFile, *, json: bool) -> None:
    path = str(file.path) if file.messages else None
    if json:
        document = {"topic": file.topic, "file": path, "messages": file.messages}
        sys.stdout.write(orjson.dumps(document).decode() + "\n")
    else:
        sys.stdout.write(f"{file.topic} -> {path or 'no file'}: {file.messages:,} messages\n")
