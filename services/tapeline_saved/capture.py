"""The command `tapeline capture`: what is on topics of chains, in files for `tapeline replay`."""

from __future__ import annotations

import signal
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType, TracebackType
from typing import Annotated, Any, BinaryIO, Final, Self

import orjson
import typer

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.consumer import Reader, consume
from tapeline.bus.topics import load_topics
from tapeline.errors import BadData, Misconfigured
from tapeline.model.chain_codec import SCHEMA
from tapeline_saved.chain_files import CHAINS_SUFFIX

_WAIT_S: Final = 0.25
_PART_SUFFIX: Final = ".part"


def capture(
    topics: Annotated[list[str], typer.Argument(help="Topics of chains, such as md.chains.databento.v1.")],
    output: Annotated[Path, typer.Option(help="Folder for the files, one per topic; made where it is missing.")],
    seconds: Annotated[float | None, typer.Option(min=0, help="End after so many seconds.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many chains.")] = None,
    from_start: Annotated[
        bool, typer.Option("--from-start", help="Begin with the oldest that is kept, not with now.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="End with one JSON object per file.")] = False,
) -> None:
    """Write the option chains of topics to files, until Ctrl-C, SIGTERM, --seconds or --count.

    A file gets its name once it is whole; `tapeline replay` puts its chains on md.chains.saved.v1, where they differ
    only in source, mode and time of publishing.
    """
    _check(topics)
    stop = _Stop()
    deadline_s = None if seconds is None else time.monotonic() + seconds
    with ExitStack() as closing:
        reader = closing.enter_context(consume(*topics, start="earliest" if from_start else "latest"))
        files = {
            namespaced(topic): closing.enter_context(ChainFile(output, topic, datetime.now(UTC))) for topic in topics
        }
        written = 0
        while not stop.asked and (count is None or written < count):
            if deadline_s is not None and time.monotonic() >= deadline_s:
                break
            written += _take(reader, files)
    for file in files.values():
        _report(file, json=json)


class ChainFile:
    """A file of chains, a message per line. It gets its name on leaving; without a chain there is none.

    Raises Misconfigured where it cannot be written.
    """

    def __init__(self, folder: Path, topic: str, at: datetime) -> None:
        self.topic = topic
        self.path = folder / f"{at:%Y%m%dT%H%M%SZ}-{topic}{CHAINS_SUFFIX}"
        self.chains = 0
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

    def write(self, message: dict[str, Any]) -> None:
        """Append a message as a whole line."""
        try:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._part.open("xb")
            self._file.write(orjson.dumps(message, option=orjson.OPT_APPEND_NEWLINE))
            self._file.flush()
        except OSError as error:
            raise Misconfigured(f"{self._part}: cannot be written: {error.strerror}") from None
        self.chains += 1


class _Stop:
    """Whether a signal has asked for the end."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True


def _check(topics: list[str]) -> None:
    declared = load_topics()
    chains = [name for name, topic in declared.items() if topic.value_schema == SCHEMA]
    for topic in topics:
        if topic not in chains:
            raise Misconfigured(f"{topic}: is no topic of chains; there are {', '.join(chains)}")


def _take(reader: Reader, files: dict[str, ChainFile]) -> int:
    """Write what comes next, and return how many chains that were."""
    try:
        record = reader.read(_WAIT_S)
    except BadData as error:
        sys.stderr.write(f"tapeline: passed over a bad message: {error} {' '.join(error.__notes__)}\n")
        return 0
    if record is None or not isinstance(record.value, dict):
        return 0
    files[record.topic].write(record.value)
    return 1


def _report(file: ChainFile, *, json: bool) -> None:
    path = str(file.path) if file.chains else None
    if json:
        document = {"topic": file.topic, "file": path, "chains": file.chains}
        sys.stdout.write(orjson.dumps(document).decode() + "\n")
    else:
        sys.stdout.write(f"{file.topic} -> {path or 'no file'}: {file.chains:,} chains\n")
