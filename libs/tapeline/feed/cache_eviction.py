"""What leaves the cache: what was not used for long, then what was used least recently."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tapeline.errors import Retryable
from tapeline.feed.cache_files import CORRUPT, CacheFolder, StoredFile


def to_evict(files: Iterable[StoredFile], at_ns: int, max_bytes: int, max_age_ns: int) -> Sequence[StoredFile]:
    """Return what has to go: files not used for `max_age_ns`, then the least recently used until `max_bytes` hold."""
    by_use = sorted(files, key=lambda file: (file.used_at_ns, file.name))
    room = sum(file.bytes for file in by_use)
    gone = []
    for file in by_use:
        if room <= max_bytes and at_ns - file.used_at_ns <= max_age_ns:
            break
        gone.append(file)
        room -= file.bytes
    return gone


def evict(folder: CacheFolder, at_ns: int, max_bytes: int, max_age_ns: int, keep: Iterable[str]) -> int:
    """Remove what has to go, but no entry named in `keep`, and what killed fetches left; return the bytes freed.

    What another process holds at the moment stays.
    """
    for name in folder.leftovers():
        try:
            with folder.lock(name, 0.0):
                folder.clear_leftovers(name)
        except Retryable:
            continue
    kept = frozenset(keep)
    freed = 0
    for file in to_evict((*folder.stored(), *folder.aside()), at_ns, max_bytes, max_age_ns):
        if file.name not in kept and _remove(folder, file.name):
            freed += file.bytes
    return freed


def _remove(folder: CacheFolder, name: str) -> bool:
    if name.startswith(f"{CORRUPT}/"):
        (folder.root / name).unlink(missing_ok=True)
        return True
    try:
        with folder.lock(name, 0.0):
            folder.remove(name)
    except Retryable:
        return False
    return True
