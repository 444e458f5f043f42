"""Files that were paid for, kept to be read again: found by what was asked, verified whenever they are found."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tapeline.errors import BadData, Retryable
from tapeline.feed.cache_entry import CacheEntry, CacheRequest, decode_entry, encode_entry
from tapeline.feed.cache_eviction import evict
from tapeline.feed.cache_files import CacheFolder, write_durably
from tapeline.feed.ledger import UsageLedger
from tapeline.model.usage import Line, day_of
from tapeline.ops import metrics


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a download says of the file that it has written."""

    records: int
    cost_micro_usd: int
    valid_until_ns: int | None


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a cache holds of one source."""

    entries: int
    bytes: int


class FileCache:
    """A cache that several processes share. Its calls block.

    `max_bytes` and `max_age_s` (since the last use) bound it, once `evict` is called. A fetch waits up to `wait_s` for
    another one of the same request. Hits and misses count in the metrics and, with what hits saved, in `ledger` on
    `line`.
    """

    def __init__(
        self,
        folder: Path,
        ledger: UsageLedger,
        now_ns: Callable[[], int],
        *,
        max_bytes: int,
        max_age_s: float,
        wait_s: float = 3_600.0,
        line: Line = "metered",
    ) -> None:
        self._folder = CacheFolder(folder)
        self._ledger = ledger
        self._now_ns = now_ns
        self._max_bytes = max_bytes
        self._max_age_ns = round(max_age_s * 1e9)
        self._wait_s = wait_s
        self._line: Line = line

    def find(self, request: CacheRequest) -> CacheEntry | None:
        """Return the entry of a request, its file verified; None where there is none that holds. Counts nothing.

        What is damaged is set aside, and is not there.
        """
        entry, fault = self._read(request)
        if fault:
            try:
                # Read again under the lock: another process may have been replacing it.
                with self._folder.lock(request.name, 0.0):
                    entry = self._checked(request)
            except Retryable:
                return None
        return entry

    def use(self, entry: CacheEntry) -> Path:
        """Count a hit; return the file."""
        source = entry.request.source
        metrics.CACHE_HITS.labels(source).inc()
        self._ledger.add(source, self._line, day_of(self._now_ns()), cache_hits=1, saved_micro_usd=entry.cost_micro_usd)
        return self._folder.file(entry.request)

    def fetch(self, request: CacheRequest, download: Callable[[Path], Fetched]) -> tuple[CacheEntry, bool]:
        """Return the entry of a request and whether it was there; else have `download` write it to a path of its own.

        Of several that ask at once, in any processes, one downloads and the others get what it got: a hit of theirs,
        still to be counted by `use`. What `download` raises is raised, and nothing of it is left. Raises Retryable if
        another fetch goes on for longer than `wait_s`.
        """
        with self._folder.lock(request.name, self._wait_s):
            entry = self._checked(request)
            if entry is not None:
                return entry, True
            self._folder.clear_leftovers(request.name)
            metrics.CACHE_MISSES.labels(request.source).inc()
            self._ledger.add(request.source, self._line, day_of(self._now_ns()), cache_misses=1)
            return self._store(request, download), False

    def path(self, entry: CacheEntry) -> Path:
        """Return the entry's file."""
        return self._folder.file(entry.request)

    def evict(self, keep: Iterable[CacheEntry] = ()) -> int:
        """Remove what is beyond the limits, but none of `keep`; return the bytes freed."""
        names = [entry.request.name for entry in keep]
        return evict(self._folder, self._now_ns(), self._max_bytes, self._max_age_ns, names)

    def holdings(self) -> dict[str, Holdings]:
        """Return what there is of each source."""
        found: dict[str, Holdings] = {}
        for file in self._folder.stored():
            source, _, _ = file.name.partition("/")
            held = found.get(source, Holdings(0, 0))
            found[source] = Holdings(held.entries + 1, held.bytes + file.bytes)
        return found

    def _checked(self, request: CacheRequest) -> CacheEntry | None:
        entry, fault = self._read(request)
        if fault:
            self._folder.set_aside(request.name, fault)
        return entry

    def _read(self, request: CacheRequest) -> tuple[CacheEntry | None, str]:
        """Return the entry that holds, if any, and what is wrong with one that is there, if anything is."""
        try:
            entry = decode_entry(self._folder.sidecar(request.name).read_bytes())
        except FileNotFoundError:
            return None, ""
        except BadData as error:
            return None, f"its description is damaged: {error}"
        if entry.request != request:
            return None, "its description is of another request"
        if not entry.is_valid(self._now_ns()):
            return None, ""
        # Before its file is read: what is in use is not to be evicted.
        self._folder.touch(request.name, self._now_ns())
        try:
            _, sha256 = _measure(self._folder.file(request))
        except FileNotFoundError:
            return None, "its file is missing"
        if sha256 != entry.sha256:
            return None, "the checksum of its file is wrong"
        return entry, ""

    def _store(self, request: CacheRequest, download: Callable[[Path], Fetched]) -> CacheEntry:
        part = self._folder.part(request.name)
        try:
            fetched = download(part)
            size, sha256 = _measure(part, durably=True)
            entry = CacheEntry(
                request=request,
                sha256=sha256,
                bytes=size,
                records=fetched.records,
                cost_micro_usd=fetched.cost_micro_usd,
                fetched_at_ns=self._now_ns(),
                valid_until_ns=fetched.valid_until_ns,
            )
            part.replace(self._folder.file(request))
            write_durably(self._folder.sidecar(request.name), encode_entry(entry))
            self._folder.touch(request.name, entry.fetched_at_ns)
        finally:
            part.unlink(missing_ok=True)
        return entry


def _measure(path: Path, *, durably: bool = False) -> tuple[int, str]:
    """Return size and SHA-256 of a file, once it is on the disk if it is to be."""
    with path.open("rb") as file:
        if durably:
            os.fsync(file.fileno())
        return os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest()
