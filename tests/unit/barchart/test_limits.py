"""The calls of a host, counted over processes and restarts, with a clock that the test moves."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapeline.errors import Misconfigured
from tapeline.feed.file_lock import file_lock
from tapeline_barchart.breaker import Quiet
from tapeline_barchart.errors import HeldOff
from tapeline_barchart.limits import UNDER_WAY_S, CallLimit

HOST = "www.example.com:8443"
START_NS = 1_790_000_000_000_000_000


class Clock:
    """Time that passes only in sleeps."""

    def __init__(self) -> None:
        self.now_ns = START_NS
        self.passed: list[float] = []

    def __call__(self) -> int:
        return self.now_ns

    async def sleep(self, wait_s: float) -> None:
        self.now_ns += round(wait_s * 1e9)

    def limit(self, folder: Path, calls_per_minute: int, spacing_s: float = 0.0) -> CallLimit:
        return CallLimit(
            folder, HOST, calls_per_minute=calls_per_minute, spacing_s=spacing_s, clock_ns=self, sleep=self.sleep
        )

    async def call(self, limit: CallLimit) -> float:
        await limit.take()
        self.passed.append((self.now_ns - START_NS) / 1e9)
        return self.passed[-1]


@settings(max_examples=15, deadline=None)
@given(
    calls_per_minute=st.integers(1, 8),
    spacing_s=st.sampled_from((0.0, 1.0, 7.5, 30.0)),
    pauses_s=st.lists(st.sampled_from((0.0, 0.5, 9.0, 59.0)), min_size=10, max_size=20),
)
async def test_no_minute_has_more_calls_than_allowed_whoever_makes_them_and_however_late_they_arrive(
    tmp_path_factory: pytest.TempPathFactory, calls_per_minute: int, spacing_s: float, pauses_s: list[float]
) -> None:
    folder, clock = tmp_path_factory.mktemp("calls"), Clock()
    for pause_s in pauses_s:
        # Every call by an object of its own, as after a restart.
        await clock.call(clock.limit(folder, calls_per_minute, spacing_s))
        await clock.sleep(pause_s)
    for first, then in zip(clock.passed, clock.passed[1:], strict=False):
        assert then - first >= spacing_s
    for first, last in zip(clock.passed, clock.passed[calls_per_minute:], strict=False):
        assert last - first >= 60.0 + UNDER_WAY_S


async def test_what_is_allowed_passes_at_once(tmp_path: Path) -> None:
    clock = Clock()
    limit = clock.limit(tmp_path, 3)
    assert [await clock.call(limit) for _ in range(4)] == [0.0, 0.0, 0.0, pytest.approx(65.0, abs=0.01)]
    assert limit.calls == 4


async def test_hosts_are_counted_each_for_itself(tmp_path: Path) -> None:
    clock = Clock()
    other = CallLimit(tmp_path, "other", calls_per_minute=1, spacing_s=0, clock_ns=clock, sleep=clock.sleep)
    assert [await clock.call(clock.limit(tmp_path, 1)), await clock.call(other)] == [0.0, 0.0]


async def test_nothing_passes_while_the_host_wants_quiet_and_a_new_process_keeps_to_it(tmp_path: Path) -> None:
    clock = Clock()
    await clock.limit(tmp_path, 9).keep_quiet("throttled", Quiet(START_NS + 40 * 10**9, 2, "429"))
    limit = clock.limit(tmp_path, 9)
    with pytest.raises(HeldOff, match=r"www.example.com:8443 is not called for another 40 s: 429"):
        await limit.take()
    assert (clock.now_ns, limit.calls) == (START_NS, 0)
    await clock.sleep(40.0)
    assert await clock.call(limit) == 40.0
    known = await limit.quiet("throttled")
    assert known is not None
    assert known.strikes == 2, "the next 429 is the third in a row"
    await limit.all_is_well()
    assert await clock.limit(tmp_path, 9).quiet("throttled") is None


async def test_a_call_that_went_well_ends_no_quiet_that_another_process_was_asked_for(tmp_path: Path) -> None:
    clock = Clock()
    limit = clock.limit(tmp_path, 9)
    await limit.keep_quiet("throttled", Quiet(START_NS + 40 * 10**9, 1, "429"))
    await limit.all_is_well()
    with pytest.raises(HeldOff):
        await limit.take()


async def test_without_its_file_nothing_is_called(tmp_path: Path) -> None:
    (tmp_path / "www.example.com_8443.sqlite3").write_bytes(b"this is no database at all, and never was one")
    with pytest.raises(Misconfigured, match=r"counts the calls of www.example.com:8443, cannot be used"):
        await Clock().limit(tmp_path, 5).take()


async def test_two_never_count_at_once(tmp_path: Path) -> None:
    limit = Clock().limit(tmp_path, 5)
    with file_lock(tmp_path / "www.example.com_8443.lock", 0.0):
        taking = asyncio.create_task(limit.take())
        assert await asyncio.wait((taking,), timeout=0.3) == (set(), {taking}), "another is about to count"
    await asyncio.wait_for(taking, 30.0)
    assert limit.calls == 1


_TAKE = """
import asyncio, sys, time
from pathlib import Path
from tapeline_barchart.limits import CallLimit

async def main():
    limit = CallLimit(Path(sys.argv[1]), "host", calls_per_minute=5, spacing_s=0, clock_ns=time.time_ns)
    async with asyncio.timeout(float(sys.argv[2])):
        while True:
            await limit.take()
            print("call", flush=True)

try:
    asyncio.run(main())
except TimeoutError:
    pass
"""


def test_processes_that_call_at_once_share_the_calls(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _TAKE, str(tmp_path), "2"]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    said = b"".join(process.communicate(timeout=60)[0] for process in processes)
    assert said.count(b"call") == 5
