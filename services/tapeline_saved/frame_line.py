"""The line that puts captured tick frames on the tape again: the same ticks, in frames of their own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path

from tapeline.feed.framer import Ticks
from tapeline.feed.resume import TapeEnd
from tapeline.feed.source import Item, Pair
from tapeline.model.frames import Origin
from tapeline_saved.frame_files import find_frame_files, read_frames, streams_of, ticks_of
from tapeline_saved.pacing import paced, received
from tapeline_saved.progress import OnProgress
from tapeline_saved.settings import SavedSettings


class FrameLine:
    """The passes over the files of frames of a path, one after the other."""

    name = "frames"
    origin: Origin = "saved"
    pairs: AbstractSet[Pair] = frozenset()

    def __init__(self, settings: SavedSettings, on_progress: OnProgress) -> None:
        self._settings = settings
        self._on_progress = on_progress
        self._prepared = 0

    async def prepare(self) -> Mapping[str, str] | None:
        """Read through the files for their streams. Raises Misconfigured or BadData where one cannot be read."""
        if self._settings.passes and self._prepared == self._settings.passes:
            return None
        self._prepared += 1
        files = find_frame_files(Path(self._settings.path))
        streams = await asyncio.to_thread(streams_of, files)
        return {self._settings.stream or stream: dataset for stream, dataset in streams.items()}

    async def connect(self, ends: Mapping[Pair, TapeEnd]) -> FramePass:
        """Begin the pass: anew, whatever is on the tape."""
        return FramePass(self._settings, self._on_progress)


class FramePass:
    """One pass over all files of frames, as a session."""

    resumes: AbstractSet[Pair] = frozenset()

    def __init__(self, settings: SavedSettings, on_progress: OnProgress) -> None:
        self._settings = settings
        self._on_progress = on_progress

    def items(self) -> AsyncIterator[Item]:
        """Yield the ticks at the speed of the settings. Raises BadData after the whole frames before a fault."""
        return paced(self._read, self._settings.speed)

    def close(self) -> None:
        """Do nothing: files are open only while items are taken."""

    def _read(self) -> Iterator[Ticks]:
        shift_ns = None if self._settings.rebase else 0
        for file in find_frame_files(Path(self._settings.path)):
            for frame, bytes_read in read_frames(file):
                if not len(frame):
                    continue
                stream = self._settings.stream or frame.stream
                if shift_ns is None:
                    shift_ns = time.time_ns() - int(received(ticks_of(frame, stream, 0).columns)[0])
                yield ticks_of(frame, stream, shift_ns)
                self._on_progress(str(file), bytes_read)
