"""What is new in a folder of chain files. A file may be seen while it is written: it is read once it rests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path

from tapeline_saved.chain_files import (
    CHAINS_SUFFIX,
    Fault,
    SavedChain,
    chains_of_lines,
    find_chain_files,
    read_chains,
    unreadable,
    whole_lines,
)


@dataclass(slots=True)
class _Seen:
    """A file as it was found last (inode, bytes, ns of its change), since when, and what was taken of it."""

    state: tuple[int, int, int]
    since_s: float
    is_taken: bool = False
    taken_bytes: int = 0


class FolderWatch:
    """Looks into a folder again and again. Its calls block.

    A file is read when it is found for the second time as it was; what is bad then is looked at again until it has
    rested for `settle_s`, and is a fault only after that. A file that changes later is read again; one with lines, from
    where it was left.
    """

    def __init__(self, folder: Path, zone: tzinfo | None, settle_s: float) -> None:
        self._folder = folder
        self._zone = zone
        self._settle_s = settle_s
        self._seen: dict[Path, _Seen] = {}

    def look(self, now_ns: int, at_s: float) -> list[SavedChain | Fault]:
        """Return what has come since the last call; `now_ns` is the time, `at_s` that of a clock that never jumps."""
        found: list[SavedChain | Fault] = []
        files = find_chain_files(self._folder)
        for file in files:
            found += self._look_at(file, now_ns, at_s)
        for gone in self._seen.keys() - set(files):
            del self._seen[gone]
        return found

    def _look_at(self, file: Path, now_ns: int, at_s: float) -> list[SavedChain | Fault]:
        try:
            status = file.stat()
        except FileNotFoundError:
            return []
        state = (status.st_ino, status.st_size, status.st_mtime_ns)
        seen = self._seen.get(file)
        if seen is None or seen.state != state:
            goes_on = seen is not None and seen.state[0] == status.st_ino and seen.taken_bytes <= status.st_size
            self._seen[file] = _Seen(state, at_s, taken_bytes=seen.taken_bytes if seen is not None and goes_on else 0)
            return []
        if seen.is_taken:
            return []
        if file.name.endswith(CHAINS_SUFFIX):
            seen.is_taken = True
            return self._new_lines(file, seen, now_ns)
        found = list(read_chains(file, published_at=now_ns, zone=self._zone))
        is_bad = any(isinstance(each, Fault) for each in found)
        seen.is_taken = not is_bad or at_s - seen.since_s >= self._settle_s
        return found if seen.is_taken else []

    def _new_lines(self, file: Path, seen: _Seen, now_ns: int) -> list[SavedChain | Fault]:
        try:
            content = file.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            return [unreadable(file, error)]
        begin, seen.taken_bytes = seen.taken_bytes, whole_lines(content)
        return list(chains_of_lines(file, content[: seen.taken_bytes], begin=begin, published_at=now_ns))
