"""Saved files as a way to what is missing on a tape that they were put on before."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

from tapeline.errors import BadData, Misconfigured
from tapeline.feed.back_ends import BackEnd
from tapeline.feed.cost import Estimate
from tapeline.feed.framer import Ticks
from tapeline.feed.reading import ReadAhead, read_once
from tapeline.feed.selection import of_symbols, within
from tapeline.model.backfill import BackEnd as BackEndName
from tapeline.model.backfill import BackfillRequest
from tapeline.model.control import Interval
from tapeline.ops.settings import ServiceSettings
from tapeline_saved.chain_files import SOURCE
from tapeline_saved.client import STANDARD_INPUT, find_files, has_dbn, open_file
from tapeline_saved.frame_files import find_frame_files, read_frames, ticks_of
from tapeline_saved.normalize import Normalizer, stream_name
from tapeline_saved.settings import SavedSettings


class SavedBackfiller:
    """The files of `path`. Raises Misconfigured where they cannot be read again, or were put on the tape shifted."""

    source: ClassVar[str] = SOURCE
    settings_class: ClassVar[type[ServiceSettings]] = SavedSettings

    def __init__(self, settings: ServiceSettings) -> None:
        if not isinstance(settings, SavedSettings):
            raise Misconfigured("the back end of saved files needs settings of its own class")
        if settings.path == STANDARD_INPUT or settings.rebase:
            raise Misconfigured(
                "gaps are filled from files whose times are those of the tape: set TAPELINE_SAVED_PATH to a file or"
                " folder, without TAPELINE_SAVED_REBASE"
            )
        self._settings = settings

    def back_ends(self) -> Sequence[BackEnd]:
        """Return the one."""
        return (SavedBackEnd(self._settings),)


class SavedBackEnd:
    """DBN files and files of frames, by the names of their streams; what two files hold is there twice."""

    name: BackEndName = "saved"

    def __init__(self, settings: SavedSettings) -> None:
        self._path = settings.path
        self._stream = settings.stream

    def reach(self, request: BackfillRequest, now_ns: int) -> Interval | None:
        """Return the window: files have all that they will ever have."""
        return request.window

    async def estimate(self, request: BackfillRequest, window: Interval) -> Estimate:
        """Return the number of records, which are free; reads through the files."""
        return Estimate(records=await self.count(request, window))

    async def fetch(self, request: BackfillRequest, window: Interval) -> AsyncGenerator[Ticks]:
        """Yield the window's ticks, file after file."""
        async with aclosing(aiter(ReadAhead(partial(self._read, request, window)))) as coming:
            async for ticks in coming:
                yield ticks

    async def count(self, request: BackfillRequest, window: Interval) -> int:
        """Return how many records of the window the files hold."""
        return await read_once(lambda: sum(map(len, self._read(request, window))))

    def _read(self, request: BackfillRequest, window: Interval) -> Iterator[Ticks]:
        """Yield what the files hold of the window. Raises Misconfigured where a file is not what it should be."""
        try:
            for ticks in self._ticks(request):
                kept = within(of_symbols(ticks, request.symbols), window)
                if len(kept):
                    yield replace(kept, origin="backfill")
        except BadData as error:
            raise Misconfigured(f"{self._path}: {error}") from None

    def _ticks(self, request: BackfillRequest) -> Iterator[Ticks]:
        path = Path(self._path)
        frame_files = find_frame_files(path)
        if not frame_files or (path.is_dir() and has_dbn(path)):
            for file in find_files(self._path):
                yield from self._of_dbn(file, request)
        for file in frame_files:
            for frame, _ in read_frames(file):
                stream = self._stream or frame.stream
                if (stream, frame.kind, frame.dataset) == (request.stream, request.kind, request.dataset):
                    yield ticks_of(frame, stream, 0)

    def _of_dbn(self, file: Path, request: BackfillRequest) -> Iterator[Ticks]:
        with open_file(file) as reader:
            metadata = reader.metadata
            stream = self._stream or stream_name(metadata, file.name.split(".")[0])
            if (stream, metadata.dataset) != (request.stream, request.dataset):
                return
            normalizer = Normalizer(stream, metadata.dataset, reader.symbology, reader.instrument_classes)
            for batch in reader.batches():
                if batch.kind == request.kind:
                    yield normalizer.ticks(batch)
