"""Cursors, claims and fencing on a real tape: one producer holds a stream, and a resume loses and doubles nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.model.esh4 import frames_of, records

import tapeline
from tapeline.bus.bootstrap import namespaced
from tapeline.bus.cursors import CursorWriter, FenceWatch
from tapeline.bus.log import Log
from tapeline.bus.overlap import read_ids
from tapeline.bus.publisher import Publisher
from tapeline.bus.tail import CURSORS_TOPIC, TailState, claim_stream, read_tail, ticks_topic
from tapeline.errors import Fenced, TopicMismatch
from tapeline.model.codec import encode
from tapeline.model.cursors import LastFrame, decode_cursor
from tapeline.model.frames import Resume, TickFrame
from tapeline.model.ids import Rows

STREAM = "GLBX.MDP3/ESH4"
SECOND = 1_000_000_000


async def claim(publisher: Publisher, bootstrap: str, tail: TailState, session: str) -> TailState:
    return await claim_stream(
        publisher,
        bootstrap,
        tail,
        session=session,
        dataset="GLBX.MDP3",
        publisher_id=1,
        origin="saved",
        trading_day="2023-12-26",
        now_ns=1,
    )


@pytest.fixture(scope="module")
def live(real_data: Path) -> Any:
    """The records of the real file that are no snapshot."""
    every = records(real_data)
    return every[(every["flags"] & 32) == 0]


async def publish(publisher: Publisher, frames: list[TickFrame], cursors: CursorWriter | None = None) -> None:
    for frame in frames:
        on_delivered = None if cursors is None else cursors.delivery_of(frame)
        await publisher.publish(ticks_topic("saved"), STREAM, encode(frame), on_delivered)
    assert await publisher.flush(20.0) == 0


async def test_a_stream_that_never_was_has_an_empty_tail(cluster: str) -> None:
    tail = await read_tail(cluster, "saved", STREAM)
    assert (tail.epoch, tail.session, tail.kinds, tail.next_offset) == (0, None, {}, 0)


async def test_a_missing_topic_is_told_with_the_remedy(bootstrap_servers: str, namespace: str) -> None:
    with pytest.raises(TopicMismatch, match="tapeline topics apply"):
        await read_tail(bootstrap_servers, "saved", STREAM)


async def test_the_tail_goes_from_the_cursor_to_the_end(cluster: str, publisher: Publisher, live: Any) -> None:
    claimed = await claim(publisher, cluster, await read_tail(cluster, "saved", STREAM), "first")
    assert (claimed.epoch, claimed.next_offset) == (1, 1)
    watch = FenceWatch(cluster, "saved", claimed.cursors_offset)
    cursors = CursorWriter(publisher, watch, claimed, every_frames=20)
    frames = list(frames_of(live[:30_000], 1_000))
    await publish(publisher, frames[:19], cursors)
    assert not cursors.due(0.0)
    await publish(publisher, frames[19:20], cursors)
    assert cursors.due(0.0)
    await cursors.write(0.0)
    await publish(publisher, frames[20:], cursors)
    watch.close()

    tail = await read_tail(cluster, "saved", STREAM)
    assert tail.kinds == {"mbo": LastFrame("first", 29, int(live["ts_event"][:30_000].max()))}
    assert (tail.epoch, tail.session, tail.next_offset) == (1, "first", 31)
    with Log(cluster, "test") as log:
        _, end = log.bounds(namespaced(CURSORS_TOPIC), 0)
        written = [decode_cursor(m.value() or b"") for m in log.read(namespaced(CURSORS_TOPIC), 0, 0, end)]
    assert [(cursor.epoch, cursor.next_offset) for cursor in written] == [(1, 1), (1, 21)]
    assert written[1].kinds["mbo"] == LastFrame("first", 19, int(live["ts_event"][:20_000].max()))
    # The overlap starts at a frame before the first of the last two seconds.
    first = int(np.argmax(live["ts_event"] >= written[1].kinds["mbo"].ts_event - 2 * SECOND)) // 1_000 + 1
    begin, end = written[1].overlaps["mbo"]
    assert first - 2 <= begin <= first
    assert end == 21


async def test_of_two_claimers_exactly_one_wins(cluster: str, publisher: Publisher) -> None:
    for round_ in range(5):
        tails = [await read_tail(cluster, "saved", STREAM) for _ in range(2)]
        claims = [claim(publisher, cluster, tail, f"{round_}-{n}") for n, tail in enumerate(tails)]
        outcomes = await asyncio.gather(*claims, return_exceptions=True)
        won = [outcome for outcome in outcomes if isinstance(outcome, TailState)]
        assert len(won) == 1
        assert [type(outcome) for outcome in outcomes if outcome is not won[0]] == [Fenced]
        tail = await read_tail(cluster, "saved", STREAM)
        assert (tail.epoch, tail.session) == (round_ + 1, won[0].session)


async def test_a_zombie_is_ignored_and_finds_out(cluster: str, publisher: Publisher, live: Any) -> None:
    zombie = await claim(publisher, cluster, await read_tail(cluster, "saved", STREAM), "zombie")
    watch = FenceWatch(cluster, "saved", zombie.cursors_offset)
    cursors = CursorWriter(publisher, watch, zombie)
    frames = list(frames_of(live[:6_000], 1_000, session="zombie", epoch=1))
    await publish(publisher, frames[:2], cursors)
    await cursors.write(0.0)

    heir = await claim(publisher, cluster, await read_tail(cluster, "saved", STREAM), "heir")
    assert heir.epoch == 2
    assert heir.kinds["mbo"].frame == 1
    await publish(publisher, frames[2:4], cursors)
    await publish(publisher, list(frames_of(live[2_000:3_000], 1_000, session="heir", epoch=2)))
    await publish(publisher, frames[4:], cursors)

    async with asyncio.timeout(20):
        with pytest.raises(Fenced, match="epoch 2"):
            await _write_for_ever(cursors)
    watch.close()

    tail = await read_tail(cluster, "saved", STREAM)
    assert (tail.epoch, tail.session) == (2, "heir")
    assert tail.kinds == {"mbo": LastFrame("heir", 0, int(live["ts_event"][:3_000].max()))}
    with tapeline.consume("md.ticks.saved.v1", start="earliest", follow=False, bootstrap=cluster) as reader:
        seen = [(f.session, f.kind, f.frame) for f in reader if isinstance(f, TickFrame)]
    assert seen == [
        ("zombie", "claim", None),
        ("zombie", "mbo", 0),
        ("zombie", "mbo", 1),
        ("heir", "claim", None),
        ("heir", "mbo", 0),
    ]


async def _write_for_ever(cursors: CursorWriter) -> None:
    while True:
        await cursors.write(0.0)
        await asyncio.sleep(0.02)


async def test_frames_before_a_claim_count_though_the_tail_was_read_earlier(
    cluster: str, publisher: Publisher, live: Any
) -> None:
    first = await claim(publisher, cluster, await read_tail(cluster, "saved", STREAM), "first")
    early = await read_tail(cluster, "saved", STREAM)
    await publish(publisher, list(frames_of(live[:2_000], 1_000)))
    heir = await claim(publisher, cluster, early, "heir")
    assert (first.epoch, heir.epoch) == (1, 2)
    assert heir.kinds == {"mbo": LastFrame("first", 1, int(live["ts_event"][:2_000].max()))}


async def test_other_streams_of_the_partition_do_not_count(cluster: str, publisher: Publisher, live: Any) -> None:
    [frame] = frames_of(live[:500], 500)
    for number in range(24):
        stream = f"GLBX.MDP3/{number}"
        await publisher.publish(ticks_topic("saved"), stream, encode(replace(frame, stream=stream, epoch=7)))
    assert await publisher.flush(20.0) == 0
    tail = await read_tail(cluster, "saved", STREAM)
    assert (tail.epoch, tail.kinds) == (0, {})


async def test_bad_frames_and_damaged_cursors_do_not_stop_a_start(
    cluster: str, publisher: Publisher, live: Any
) -> None:
    await claim(publisher, cluster, await read_tail(cluster, "saved", STREAM), "first")
    await publish(publisher, list(frames_of(live[:1_000], 1_000)))
    await publisher.publish(ticks_topic("saved"), STREAM, b"{}")
    await publisher.publish(namespaced(CURSORS_TOPIC), f"saved/{STREAM}/1", b"{}")
    assert await publisher.flush(20.0) == 0
    tail = await read_tail(cluster, "saved", STREAM)
    assert tail.kinds["mbo"].frame == 0
    assert tail.next_offset == 3


@pytest.mark.parametrize("seed", range(3))
async def test_cut_and_resume_leaves_each_record_once_on_the_tape(
    cluster: str, publisher: Publisher, live: Any, seed: int
) -> None:
    random = np.random.default_rng(seed)
    cut = int(random.integers(10_000, len(live) - 10_000))
    claimed = await claim(publisher, cluster, await read_tail(cluster, "saved", STREAM), "first")
    watch = FenceWatch(cluster, "saved", claimed.cursors_offset)
    cursors = CursorWriter(publisher, watch, claimed)
    frames = list(frames_of(live[:cut], 500))
    half = len(frames) // 2
    await publish(publisher, frames[:half], cursors)
    await cursors.write(0.0)
    await publish(publisher, frames[half:], cursors)
    watch.close()

    tail = await read_tail(cluster, "saved", STREAM)
    resumed = await claim(publisher, cluster, tail, "second")
    last = resumed.kinds["mbo"].ts_event
    assert last is not None
    on_tape = (await read_ids(cluster, resumed, {"mbo": last - 2 * SECOND}))["mbo"]
    resent = live[live["ts_event"] >= last - 2 * SECOND]
    for frame in frames_of(resent, 700, session="second", epoch=2):
        rows = Rows.of_frame(frame)
        new = rows.only(on_tape.take(rows))
        if len(new):
            await publish(publisher, [replace(frame, columns=new.columns, undefined=new.undefined)])
    assert len(on_tape) == 0
    with tapeline.consume("md.ticks.saved.v1", start="earliest", follow=False, bootstrap=cluster) as reader:
        columns = tapeline.to_numpy(reader, "mbo")
    for name in ("ts_event", "order_id", "sequence", "size"):
        assert np.array_equal(np.sort(columns[name]), np.sort(live[name])), name


async def test_what_a_fenced_producer_added_is_no_part_of_the_overlap(
    cluster: str, publisher: Publisher, live: Any
) -> None:
    await claim(publisher, cluster, await read_tail(cluster, "saved", STREAM), "zombie")
    frames = list(frames_of(live[:6_000], 1_000, session="zombie", epoch=1))
    await publish(publisher, frames[:2])
    await claim(publisher, cluster, await read_tail(cluster, "saved", STREAM), "heir")
    await publish(publisher, frames[2:4])
    [heirs] = frames_of(live[4_000:5_000], 1_000, session="heir", epoch=2)
    await publish(publisher, [replace(heirs, resumes=Resume("zombie", 1))])
    await publish(publisher, frames[5:])
    tail = await read_tail(cluster, "saved", STREAM)
    on_tape = (await read_ids(cluster, tail, {"mbo": 0}))["mbo"]
    assert len(on_tape) == 3_000
    assert on_tape.take(Rows.of_frame(frames[2])).sum() == 1_000
    for counted in (frames[0], frames[1], heirs):
        assert on_tape.take(Rows.of_frame(counted)).sum() == 0
