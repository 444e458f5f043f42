"""How the cache lies on the disk. An entry's name is ``<source>/<key>``.

<folder>/<source>/<key><suffix>    the file; its key is the SHA-256 of the request
<folder>/<source>/<key>.json       what it is; written last, so that without it there is no entry
<folder>/<source>/<key>.lock       held by who fetches or removes it
<folder>/<source>/<key>.….part     being fetched
<folder>/corrupt/                  what failed its check, until it is evicted
"""

from __future__ import annotations

import os
import secrets
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tapeline.feed.cache_entry import CacheRequest
from tapeline.feed.file_lock import file_lock
from tapeline.ops import metrics
from tapeline.ops.logs import get_logger

CORRUPT: Final = "corrupt"
_SIDECAR: Final = ".json"
_LOCK: Final = ".lock"
_PART: Final = ".part"

log = get_logger("cache")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What eviction knows of an entry: its room on the disk and when it was last of use (ns since the epoch)."""

    name: str
    bytes: int
    used_at_ns: int


class CacheFolder:
    """Where entries lie, and what may be done with them as a whole."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def file(self, request: CacheRequest) -> Path:
        """Return where the file of a request lies, if it is there."""
        return self.root / (request.name + request.suffix)

    def sidecar(self, name: str) -> Path:
        """Return where the description of an entry lies, if it is there."""
        return self.root / (name + _SIDECAR)

    def part(self, name: str) -> Path:
        """Return a new path beside the entry's, to write its file to."""
        return self.root / f"{name}.{secrets.token_hex(4)}{_PART}"

    def lock(self, name: str, wait_s: float) -> AbstractContextManager[None]:
        """Hold the entry against every other process and thread. Raises Retryable after `wait_s`."""
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        return file_lock(self.root / (name + _LOCK), wait_s)

    def touch(self, name: str, at_ns: int) -> None:
        """Note that the entry was of use."""
        with suppress(FileNotFoundError):
            os.utime(self.sidecar(name), ns=(at_ns, at_ns))

    def remove(self, name: str) -> None:
        """Remove the entry, which the caller has locked; its description first, without which there is no entry."""
        self.sidecar(name).unlink(missing_ok=True)
        for path in self._files(name):
            path.unlink(missing_ok=True)

    def clear_leftovers(self, name: str) -> None:
        """Clear what a killed process left of an entry without a description; the caller has locked it.

        A file that was fetched whole, as far as one can see, is set aside and not removed.
        """
        for path in self._files(name):
            if path.suffix == _PART:
                log.info("removed what a killed fetch left", file=path.name)
                path.unlink(missing_ok=True)
        if not self.sidecar(name).exists() and self._files(name):
            self.set_aside(name, "its description was never written")

    def set_aside(self, name: str, fault: str) -> None:
        """Move what there is of an entry to the folder `corrupt`, and say why; the caller has locked it."""
        aside = self.root / CORRUPT
        aside.mkdir(exist_ok=True)
        source, _, _ = name.partition("/")
        for path in self._files(name):
            path.replace(aside / f"{secrets.token_hex(4)}-{path.name}")
            log.warning("set aside", source=source, file=path.name, fault=fault, folder=str(aside))
        metrics.CACHE_CORRUPT.labels(source).inc()

    def stored(self) -> list[StoredFile]:
        """Return every entry."""
        found = []
        for sidecar in self._each(f"*{_SIDECAR}"):
            name = f"{sidecar.parent.name}/{sidecar.stem}"
            with suppress(FileNotFoundError):
                room = sum(path.stat().st_size for path in self._files(name))
                found.append(StoredFile(name, room, sidecar.stat().st_mtime_ns))
        return found

    def aside(self) -> list[StoredFile]:
        """Return what was set aside, under names that `sidecar` and the others do not know."""
        folder = self.root / CORRUPT
        paths = folder.iterdir() if folder.is_dir() else ()
        return [
            StoredFile(f"{CORRUPT}/{path.name}", status.st_size, status.st_mtime_ns)
            for path in paths
            for status in (path.stat(),)
        ]

    def leftovers(self) -> list[str]:
        """Return the names of which there are files but no description: killed fetches, and those that go on."""
        names = {f"{path.parent.name}/{path.name.partition('.')[0]}" for path in self._each("*")}
        return sorted(name for name in names if not self.sidecar(name).exists())

    def _each(self, pattern: str) -> list[Path]:
        return [path for path in self.root.glob(f"*/{pattern}") if path.parent.name != CORRUPT]

    def _files(self, name: str) -> list[Path]:
        path = self.root / name
        return [each for each in path.parent.glob(f"{path.name}.*") if each.suffix != _LOCK]


def write_durably(path: Path, value: bytes) -> None:
    """Write a file so that at any moment, after a power cut too, the old or the new content is there, whole."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}{_PART}")
    try:
        with part.open("xb") as file:
            file.write(value)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        part.unlink(missing_ok=True)
