"""The saved-files source: each pass over the files is one session, of ticks and of chains side by side."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import aclosing
from pathlib import Path
from typing import ClassVar

from tapeline.errors import Bug, Misconfigured
from tapeline.feed.dbn import DbnReader
from tapeline.feed.framer import Ticks
from tapeline.feed.reading import ReadAhead
from tapeline.feed.resume import TapeEnd
from tapeline.feed.source import FeedSettings, Item, Line, Pair
from tapeline.model.frames import Origin
from tapeline_saved.chain_files import find_chain_files
from tapeline_saved.chain_line import ChainLine, ChainTotals
from tapeline_saved.client import STANDARD_INPUT, find_files, has_dbn, open_file, open_standard_input
from tapeline_saved.frame_files import find_frame_files
from tapeline_saved.frame_line import FrameLine
from tapeline_saved.normalize import Normalizer, stream_name
from tapeline_saved.pacing import paced, received
from tapeline_saved.progress import OnProgress, ignore_progress
from tapeline_saved.settings import SavedSettings


class SavedSource:
    """Replays DBN files and chain files, once, several times or for ever; or stays for those that come.

    `on_progress` is told the name of the file in hand and the bytes read of it; it is called from another thread.
    """

    name: ClassVar[str] = "saved"
    settings_class: ClassVar[type[FeedSettings]] = SavedSettings

    def __init__(self, settings: FeedSettings, on_progress: OnProgress = ignore_progress) -> None:
        if not isinstance(settings, SavedSettings):
            raise Misconfigured("the saved source needs settings of its own class")
        if settings.path == STANDARD_INPUT and settings.passes != 1:
            raise Misconfigured("standard input can be replayed only once; give a file to replay several times")
        if settings.watch and (settings.passes != 1 or not Path(settings.path).is_dir()):
            raise Misconfigured(f"{settings.path}: must be a folder to be watched, and is taken in only once")
        self._settings = settings
        self._on_progress = on_progress
        self.chains = ChainTotals()
        """What came of chain files so far."""

    def lines(self) -> Sequence[Line]:
        """Return a line for DBN, one for captured frames and one for chains, as far as there are such files.

        All read pass after pass. Where there are none, the one for DBN says so.
        """
        settings, path = self._settings, Path(self._settings.path)
        is_input = settings.path == STANDARD_INPUT
        lines: list[Line] = []
        if not is_input and find_frame_files(path):
            lines.append(FrameLine(settings, self._on_progress))
        if settings.watch or (not is_input and find_chain_files(path)):
            lines.append(ChainLine(settings, self.chains, self._on_progress))
        if not lines or (path.is_dir() and has_dbn(path)):
            lines.insert(0, SavedLine(settings, self._on_progress))
        return lines


class SavedLine:
    """The passes, one after the other."""

    name = "files"
    origin: Origin = "saved"
    pairs: AbstractSet[Pair] = frozenset()

    def __init__(self, settings: SavedSettings, on_progress: OnProgress) -> None:
        self._settings = settings
        self._on_progress = on_progress
        self._prepared = 0
        self._next: SavedPass | None = None

    async def prepare(self) -> Mapping[str, str] | None:
        """Read the heads of all files. Raises Misconfigured or BadData where there is nothing to replay."""
        if self._settings.passes and self._prepared == self._settings.passes:
            return None
        self._prepared += 1
        async with aclosing(aiter(ReadAhead(self._pass))) as opened:
            self._next = await anext(opened)
        return self._next.streams

    async def connect(self, ends: Mapping[Pair, TapeEnd]) -> SavedPass:
        """Begin the pass: anew, whatever is on the tape."""
        if self._next is None:
            raise Bug("a pass must be prepared before it begins")
        return self._next

    def _pass(self) -> Iterator[SavedPass]:
        yield SavedPass(self._settings, self._on_progress)


class SavedPass:
    """One pass over all files, as a session. Its heads are read on construction, which blocks."""

    resumes: AbstractSet[Pair] = frozenset()

    def __init__(self, settings: SavedSettings, on_progress: OnProgress) -> None:
        self._settings = settings
        self._on_progress = on_progress
        self._shift_ns: int | None = None if settings.rebase else 0
        self._standard_input: DbnReader | None = None
        self._files: list[Path] = []
        self.streams: dict[str, str] = {}
        if settings.path == STANDARD_INPUT:
            self._standard_input = reader = open_standard_input()
            self.streams = {self._stream_of(reader): reader.metadata.dataset}
        else:
            self._files = find_files(settings.path)
            for file in self._files:
                with open_file(file) as reader:
                    self.streams[self._stream_of(reader)] = reader.metadata.dataset

    def items(self) -> AsyncIterator[Item]:
        """Yield the ticks at the speed of the settings. Raises BadData after the whole records before a fault."""
        return paced(self._read, self._settings.speed)

    def close(self) -> None:
        """Do nothing: files are open only while items are taken."""

    def _read(self) -> Iterator[Ticks]:
        if self._standard_input is not None:
            yield from self._ticks(self._standard_input)
        for file in self._files:
            with open_file(file) as reader:
                yield from self._ticks(reader)

    def _ticks(self, reader: DbnReader) -> Iterator[Ticks]:
        normalizer: Normalizer | None = None
        for batch in reader.batches():
            if self._shift_ns is None:
                self._shift_ns = time.time_ns() - int(received(batch.columns)[0])
            if normalizer is None:
                normalizer = Normalizer(
                    self._stream_of(reader),
                    reader.metadata.dataset,
                    reader.symbology,
                    reader.instrument_classes,
                    self._shift_ns,
                )
            yield normalizer.ticks(batch)
            self._on_progress(reader.name, reader.bytes_read)

    def _stream_of(self, reader: DbnReader) -> str:
        return self._settings.stream or stream_name(reader.metadata, Path(reader.name).name.split(".")[0])
