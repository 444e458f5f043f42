"""Workers that are killed, and workers that wake up after another has taken their request over."""

from __future__ import annotations

import random
import signal

import numpy as np
from tests.integration.backfill.rig import Rig, a_request, hashes_of, window_of
from tests.integration.feed.vendor import market

RECORDS = 40_000
SLOW = {"chunk_records": 400, "records_per_s": 25_000, "slice_s": 3.0}


async def test_loses_and_doubles_nothing_when_killed_five_times(rig: Rig) -> None:
    ticks = market(RECORDS)
    rig.ask(request := a_request(window_of(ticks)))
    moments = random.Random()
    read = 0
    for kill in range(5):
        with rig.worker("one", RECORDS, **SLOW) as worker:
            until = read + moments.randint(1, RECORDS * (kill + 1) // 5 - read)
            event = await rig.until(request, lambda event, until=until: event.read >= until)
            worker.process.kill()
            worker.process.wait(10)
        read = event.read
    with rig.worker("one", RECORDS) as worker:
        proven = await rig.until(request, lambda event: event.type == "proven")
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(30) == 0, worker.logs.read_text()[-3000:]
        assert worker.said("stopped")
    assert np.array_equal(rig.backfilled(request), hashes_of([ticks]))
    assert (proven.read, proven.published, proven.skipped) == (RECORDS, RECORDS, 0)


async def test_a_worker_that_wakes_up_after_it_was_replaced_is_fenced(rig: Rig) -> None:
    ticks = market(RECORDS)
    rig.ask(request := a_request(window_of(ticks)))
    with rig.worker("sleeper", RECORDS, takeover_s=1.0, **SLOW) as sleeper:
        await rig.until(request, lambda event: event.published > RECORDS // 10)
        sleeper.process.send_signal(signal.SIGSTOP)
        with rig.worker("twin", RECORDS, takeover_s=1.0) as twin:
            taken = await rig.until(request, lambda event: event.worker == "twin")
            assert taken.published < RECORDS
            proven = await rig.until(request, lambda event: event.type == "proven")
            sleeper.process.send_signal(signal.SIGCONT)
            # Where it slept within a transaction, it may learn no more than that this was not committed.
            sleeper.until_said("fenced", "Kafka is away")
            assert proven.worker == "twin"
            twin.process.send_signal(signal.SIGTERM)
            assert twin.process.wait(30) == 0, twin.logs.read_text()[-3000:]
        sleeper.process.send_signal(signal.SIGTERM)
        assert sleeper.process.wait(30) == 0, sleeper.logs.read_text()[-3000:]
    assert np.array_equal(rig.backfilled(request), hashes_of([ticks]))
    assert rig.events(request)[-1].type == "proven"


async def test_leaves_its_request_to_whoever_comes_next_when_it_is_stopped(rig: Rig) -> None:
    ticks = market(RECORDS)
    rig.ask(request := a_request(window_of(ticks)))
    with rig.worker("one", RECORDS, **SLOW) as worker:
        await rig.until(request, lambda event: event.published > 0)
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(30) == 0, worker.logs.read_text()[-3000:]
    left = rig.events(request)[-1]
    assert (left.type, left.worker) == ("progress", "")
    with rig.worker("other", RECORDS, takeover_s=3_600.0):
        proven = await rig.until(request, lambda event: event.type == "proven")
    assert (proven.read, proven.published) == (RECORDS, RECORDS)
    assert np.array_equal(rig.backfilled(request), hashes_of([ticks]))
