"""The cache gives back what was fetched, whole, or fetches it again; whatever happens in between."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.feed import cache_process
from tests.unit.feed.cache_process import CONTENT, DEADLINE_S, cache, request

from tapeline.errors import BadData, Retryable
from tapeline.feed.cache import Fetched, FileCache, Holdings
from tapeline.feed.cache_entry import CacheRequest
from tapeline.feed.cache_eviction import to_evict
from tapeline.feed.cache_files import StoredFile, write_durably
from tapeline.feed.ledger import UsageLedger

SPAWN = multiprocessing.get_context("spawn")


class Vendor:
    """Writes a content to where it is asked to, and counts how often."""

    def __init__(self, content: bytes = CONTENT, valid_until_ns: int | None = None) -> None:
        self.content = content
        self.valid_until_ns = valid_until_ns
        self.downloads = 0

    def __call__(self, path: Path) -> Fetched:
        assert not path.exists()
        self.downloads += 1
        path.write_bytes(self.content)
        return Fetched(records=1000, cost_micro_usd=7, valid_until_ns=self.valid_until_ns)


def files(folder: Path) -> list[str]:
    return sorted(path.suffix for path in (folder / "cache" / "databento").iterdir())


def aside(folder: Path) -> list[Path]:
    return sorted((folder / "cache" / "corrupt").glob("*"))


def test_what_was_fetched_is_found_with_all_that_is_known_of_it(tmp_path: Path) -> None:
    vendor = Vendor()
    assert cache(tmp_path).find(request()) is None
    entry, was_there = cache(tmp_path).fetch(request(), vendor)
    assert not was_there
    found = cache(tmp_path).find(request())
    assert found == entry
    assert (entry.bytes, entry.records, entry.cost_micro_usd, entry.fetched_at_ns) == (len(CONTENT), 1000, 7, 10)
    assert cache(tmp_path).path(entry).read_bytes() == CONTENT
    assert cache(tmp_path).path(entry).name.endswith(".dbn.zst")
    assert files(tmp_path) == [".json", ".zst"]
    again, was_there = cache(tmp_path).fetch(request(), vendor)
    assert (again, was_there, vendor.downloads) == (entry, True, 1)


def test_another_request_is_another_entry(tmp_path: Path) -> None:
    cache(tmp_path).fetch(request(), Vendor())
    assert cache(tmp_path).find(request(2)) is None
    assert cache(tmp_path).find(request(symbols=("ES.FUT",))) is None


def test_hits_misses_and_savings_are_counted_across_runs(tmp_path: Path) -> None:
    vendor = Vendor()
    entry, _ = cache(tmp_path).fetch(request(), vendor)
    for _ in range(3):
        shared = cache(tmp_path)
        found = shared.find(request())
        assert found is not None
        assert shared.use(found) == shared.path(entry)
    cache(tmp_path).fetch(request(2), vendor)
    (usage,) = UsageLedger(tmp_path / "usage.sqlite3").usages()
    assert (usage.source, usage.line, usage.day) == ("databento", "metered", "1970-01-01")
    assert (usage.cache_hits, usage.cache_misses, usage.saved_micro_usd) == (3, 2, 21)


def test_a_failed_download_leaves_nothing(tmp_path: Path) -> None:
    def download(path: Path) -> Fetched:
        path.write_bytes(CONTENT[:100])
        raise Retryable("cut")

    with pytest.raises(Retryable, match="cut"):
        cache(tmp_path).fetch(request(), download)
    assert files(tmp_path) == []
    assert cache(tmp_path).find(request()) is None


# -- damage ------------------------------------------------------------------------------------------------------------


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path, Path], object]] = {
    "a bit of the file": lambda file, sidecar: _flip(file),
    "the file's end": lambda file, sidecar: os.truncate(file, file.stat().st_size - 1),
    "the whole file": lambda file, sidecar: file.unlink(),
    "the file is empty": lambda file, sidecar: os.truncate(file, 0),
    "the description's end": lambda file, sidecar: os.truncate(sidecar, sidecar.stat().st_size - 5),
    "the description is empty": lambda file, sidecar: os.truncate(sidecar, 0),
    "the checksum": lambda file, sidecar: sidecar.write_bytes(
        sidecar.read_bytes().replace(b'"sha256":"', b'"sha256":"0')
    ),
    "another's description": lambda file, sidecar: sidecar.write_bytes(
        sidecar.read_bytes().replace(b"NQ.FUT", b"ES.FUT")
    ),
}


@pytest.mark.parametrize("finds", [True, False], ids=["found", "fetched"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_set_aside_and_fetched_again(
    tmp_path: Path, damage: str, finds: bool, caplog: pytest.LogCaptureFixture
) -> None:
    entry, _ = cache(tmp_path).fetch(request(), Vendor())
    file = cache(tmp_path).path(entry)
    DAMAGES[damage](file, file.parent / f"{entry.request.key}.json")
    if finds:
        assert cache(tmp_path).find(request()) is None
        assert aside(tmp_path)
    again, was_there = cache(tmp_path).fetch(request(), vendor := Vendor())
    assert (was_there, vendor.downloads) == (False, 1)
    assert aside(tmp_path)
    assert cache(tmp_path).path(again).read_bytes() == CONTENT
    assert cache(tmp_path).find(request()) == again
    assert files(tmp_path) == [".json", ".zst"]


@pytest.mark.parametrize("after", ["half", "whole"])
def test_a_killed_fetch_leaves_no_entry_and_no_lock(tmp_path: Path, after: str) -> None:
    process = SPAWN.Process(target=cache_process.die_while_fetching, args=(tmp_path, after))
    process.start()
    process.join(DEADLINE_S)
    assert process.exitcode == -9
    assert files(tmp_path) == [".lock", ".part" if after == "half" else ".zst"]
    assert cache(tmp_path).find(request()) is None
    entry, was_there = cache(tmp_path).fetch(request(), vendor := Vendor())
    assert (was_there, vendor.downloads) == (False, 1)
    assert cache(tmp_path).find(request()) == entry
    assert files(tmp_path) == [".json", ".zst"]
    assert len(aside(tmp_path)) == (after == "whole")


@pytest.mark.parametrize("after", ["half", "whole"])
def test_what_killed_fetches_left_goes_with_eviction(tmp_path: Path, after: str) -> None:
    process = SPAWN.Process(target=cache_process.die_while_fetching, args=(tmp_path, after))
    process.start()
    process.join(DEADLINE_S)
    cache(tmp_path).evict()
    assert files(tmp_path) == []


# -- time --------------------------------------------------------------------------------------------------------------


def test_an_entry_of_an_unfinished_day_is_fetched_again_once_it_is_over(tmp_path: Path) -> None:
    cache(tmp_path).fetch(request(), Vendor(b"until now", valid_until_ns=100))
    assert cache(tmp_path, now_ns=99).find(request()) is not None
    assert cache(tmp_path, now_ns=100).find(request()) is None
    entry, was_there = cache(tmp_path, now_ns=100).fetch(request(), Vendor(b"the whole day"))
    assert not was_there
    assert cache(tmp_path).path(entry).read_bytes() == b"the whole day"
    assert cache(tmp_path, now_ns=10**18).find(request()) == entry
    assert aside(tmp_path) == []


# -- several at once ---------------------------------------------------------------------------------------------------


def test_of_processes_that_ask_at_once_one_fetches(tmp_path: Path) -> None:
    count = 4
    processes = [SPAWN.Process(target=cache_process.fetch_together, args=(tmp_path, n, count)) for n in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(DEADLINE_S)
    assert [process.exitcode for process in processes] == [0] * count
    assert len(list(tmp_path.glob("downloaded-*"))) == 1
    (usage,) = UsageLedger(tmp_path / "usage.sqlite3").usages()
    assert (usage.cache_hits, usage.cache_misses) == (count - 1, 1)


def test_of_threads_that_ask_at_once_one_fetches(tmp_path: Path) -> None:
    started = threading.Barrier(4)
    vendor = Vendor()
    shared = cache(tmp_path)
    got: list[bool] = []

    def fetch() -> None:
        started.wait(DEADLINE_S)
        got.append(shared.fetch(request(), vendor)[1])

    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert sorted(got) == [False, True, True, True]
    assert vendor.downloads == 1


def test_a_fetch_that_goes_on_is_waited_for_but_not_for_ever_and_not_its_death(tmp_path: Path) -> None:
    process = SPAWN.Process(target=cache_process.hold, args=(tmp_path,))
    process.start()
    try:
        cache_process._wait_for(tmp_path, "held", 1)
        ledger = UsageLedger(tmp_path / "usage.sqlite3")
        impatient = FileCache(tmp_path / "cache", ledger, lambda: 10, max_bytes=0, max_age_s=1.0, wait_s=0.1)
        with pytest.raises(Retryable, match=r"still held by another process after 0\.1 s"):
            impatient.fetch(request(), Vendor())
        assert impatient.find(request()) is None
        impatient.evict()
        assert ".part" in files(tmp_path)  # what goes on is no leftover
    finally:
        process.kill()
        process.join(DEADLINE_S)
    entry, _ = cache(tmp_path).fetch(request(), Vendor())
    assert cache(tmp_path).find(request()) == entry


# -- eviction ----------------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), max_size=12),
    st.integers(0, 400),
    st.integers(0, 100),
)
def test_eviction_keeps_the_limits_and_no_more(held: list[tuple[int, int]], max_bytes: int, max_age: int) -> None:
    stored = [StoredFile(str(index), size, used) for index, (size, used) in enumerate(held)]
    gone = to_evict(stored, 100, max_bytes, max_age)
    left = [file for file in stored if file not in gone]
    assert sum(file.bytes for file in left) <= max_bytes or not left
    assert all(100 - file.used_at_ns <= max_age for file in left)
    if gone and left:
        assert max(file.used_at_ns for file in gone) <= min(file.used_at_ns for file in left)
    if gone:
        last = gone[-1]  # had to go: it was too old, or there was not enough room with it
        assert 100 - last.used_at_ns > max_age or sum(file.bytes for file in left) + last.bytes > max_bytes


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    vendor = Vendor()
    sizes = []
    for day in (1, 2, 3):
        entry, _ = cache(tmp_path, now_ns=day).fetch(request(day), vendor)
        sizes.append(_room(tmp_path, entry.request))
    cache(tmp_path, now_ns=5).find(request(1))
    freed = _small(tmp_path, max_bytes=sum(sizes) - 1).evict()
    assert freed == sizes[1]
    assert [cache(tmp_path).find(request(day)) is not None for day in (1, 2, 3)] == [True, False, True]
    assert cache(tmp_path).holdings() == {"databento": Holdings(2, sizes[0] + sizes[2])}


def test_what_is_being_used_is_not_evicted(tmp_path: Path) -> None:
    entry, _ = cache(tmp_path).fetch(request(1), Vendor())
    cache(tmp_path).fetch(request(2), Vendor())
    _small(tmp_path, max_bytes=0).evict(keep=[entry])
    assert cache(tmp_path).find(request(1)) == entry
    assert cache(tmp_path).find(request(2)) is None


def test_what_was_not_used_for_long_goes(tmp_path: Path) -> None:
    cache(tmp_path, now_ns=0).fetch(request(1), Vendor())
    cache(tmp_path, now_ns=1_000_000_000).fetch(request(2), Vendor())
    _small(tmp_path, max_age_s=0.5, now_ns=1_200_000_000).evict()
    assert cache(tmp_path).find(request(1)) is None
    assert cache(tmp_path).find(request(2)) is not None


def test_what_was_set_aside_goes_too(tmp_path: Path) -> None:
    entry, _ = cache(tmp_path).fetch(request(1), Vendor())
    _flip(cache(tmp_path).path(entry))
    cache(tmp_path).find(request(1))
    assert len(aside(tmp_path)) == 2
    _small(tmp_path, max_bytes=0, now_ns=time.time_ns()).evict()
    assert aside(tmp_path) == []


def test_an_empty_cache_has_nothing_to_evict(tmp_path: Path) -> None:
    assert cache(tmp_path).evict() == 0
    assert cache(tmp_path).holdings() == {}


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_durably(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_durably(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_source_cannot_leave_the_folder() -> None:
    with pytest.raises(BadData, match="source"):
        CacheRequest("..", "D", "mbo", (), "parent", 1, 2, "dbn.zst/3")


def _small(
    folder: Path, *, max_bytes: int = 10**9, max_age_s: float = 3600.0, now_ns: int = 10, **rest: Any
) -> FileCache:
    ledger = UsageLedger(folder / "usage.sqlite3")
    return FileCache(folder / "cache", ledger, lambda: now_ns, max_bytes=max_bytes, max_age_s=max_age_s, **rest)


def _room(folder: Path, asked: CacheRequest) -> int:
    return sum(path.stat().st_size for path in (folder / "cache" / "databento").glob(f"{asked.key}.*"))
