"""`tapeline.consume` on a real tape: frames, rows, events and bytes, from anywhere, to the end or on."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import polars as pl
import pytest
from tests.unit.model.esh4 import frame_of, frames_of, records

import tapeline
from tapeline.bus.bootstrap import namespaced
from tapeline.bus.consumer import consume
from tapeline.bus.partitioner import partition_of
from tapeline.bus.publisher import Publisher
from tapeline.errors import BadData, Misconfigured, TopicMismatch
from tapeline.model.codec import encode
from tapeline.model.events import FeedEvent, encode_event
from tapeline.model.frames import TickFrame

TICKS = "md.ticks.saved.v1"
STREAM = "GLBX.MDP3/ESH4"


@pytest.fixture(scope="module")
def esh4(real_data: Path) -> Any:
    """The real file's records; every 97th has its price taken away, as the file has none without."""
    chosen = records(real_data).copy()
    chosen["price"][::97] = 2**63 - 1
    return chosen


@pytest.fixture
async def tape(cluster: str, publisher: Publisher, esh4: Any) -> str:
    """The first 20,000 records of the real file on the tape, in frames of 1,000; returns the broker."""
    for frame in frames_of(esh4[:20_000], 1_000):
        await publisher.publish(namespaced(TICKS), STREAM, encode(frame))
    assert await publisher.flush(20.0) == 0
    return cluster


def test_frames_come_back_as_the_real_columns(tape: str, esh4: Any) -> None:
    with consume(TICKS, start="earliest", follow=False, bootstrap=tape) as reader:
        columns = tapeline.to_numpy(reader, "mbo")
    real = esh4[:20_000]
    for name in ("ts_event", "ts_recv", "ts_in_delta", "order_id", "size", "sequence", "flags", "instrument_id"):
        assert np.array_equal(np.asarray(columns[name]), real[name]), name
    hidden = real["price"] == 2**63 - 1
    assert hidden.any()
    assert np.array_equal(np.ma.getmaskarray(columns["price"]), hidden)
    assert np.array_equal(columns["price"].compressed(), real["price"][~hidden])  # type: ignore[attr-defined]
    assert set(columns["symbol"]) == {"ESH4"}
    assert "".join(columns["action"][:100]) == bytes(real["action"][:100]).decode()


def test_frames_become_a_pandas_frame(tape: str, esh4: Any) -> None:
    with consume(TICKS, start="earliest", follow=False, bootstrap=tape) as reader:
        table = tapeline.to_pandas(reader, "mbo")
    real = esh4[:20_000]
    assert len(table) == 20_000
    assert str(table["ts_event"].dtype) == "datetime64[ns, UTC]"
    assert np.array_equal(table["ts_recv"].astype("int64"), real["ts_recv"])
    assert table["price"].isna().sum() == (real["price"] == 2**63 - 1).sum() > 0
    assert table["price"].dropna().sum() == real["price"][real["price"] != 2**63 - 1].sum()
    assert table["order_id"].dtype == np.uint64
    assert table["symbol"].unique().tolist() == ["ESH4"]
    assert isinstance(table["ts_event"].iloc[0], pd.Timestamp)


def test_frames_become_a_polars_frame(tape: str, esh4: Any) -> None:
    with consume(TICKS, start="earliest", follow=False, bootstrap=tape) as reader:
        table = tapeline.to_polars(reader, "mbo")
    real = esh4[:20_000]
    assert table.height == 20_000
    assert table.schema["ts_event"] == pl.Datetime("ns", "UTC")
    assert np.array_equal(table["ts_recv"].cast(pl.Int64).to_numpy(), real["ts_recv"])
    assert table["price"].null_count() == (real["price"] == 2**63 - 1).sum() > 0
    assert table["price"].sum() == real["price"][real["price"] != 2**63 - 1].sum()
    assert table["side"].unique().sort().to_list() == sorted(set(bytes(real["side"]).decode()))


def test_reading_starts_where_it_is_told(tape: str) -> None:
    partition = partition_of(STREAM, 12)
    with consume(TICKS, start={partition: 15}, follow=False, bootstrap=tape) as reader:
        places = []
        while (record := reader.read(5.0)) is not None:
            assert isinstance(record.value, TickFrame)
            places.append((record.partition, record.offset, record.value.frame))
        assert reader.finished
    assert places == [(partition, number, number) for number in range(15, 20)]
    with consume(TICKS, start="latest", follow=False, bootstrap=tape) as reader:
        assert list(reader) == []


async def test_a_follower_sees_what_comes_after_it_began_and_nothing_else(
    tape: str, publisher: Publisher, esh4: Any
) -> None:
    seen: list[Any] = []
    with consume(TICKS, start="latest", bootstrap=tape) as reader:
        thread = threading.Thread(target=lambda: seen.extend(next(reader) for _ in range(3)))
        thread.start()
        for number in range(100, 103):
            await publisher.publish(namespaced(TICKS), STREAM, encode(frame_of(esh4[:10], number)))
        assert await publisher.flush(20.0) == 0
        thread.join(20.0)
        assert not reader.finished
        assert reader.read(0.05) is None
    assert [frame.frame for frame in seen] == [100, 101, 102]


async def test_streams_and_kinds_are_chosen(tape: str, publisher: Publisher, esh4: Any) -> None:
    for stream in ("a", "b"):
        frame = frame_of(esh4[:10], 0, stream=stream)
        await publisher.publish(namespaced(TICKS), stream, encode(frame))
    assert await publisher.flush(20.0) == 0
    with consume(TICKS, start="earliest", follow=False, streams=["b"], bootstrap=tape) as reader:
        assert [frame.stream for frame in reader if isinstance(frame, TickFrame)] == ["b"]
    with consume(TICKS, start="earliest", follow=False, kinds=["trade"], bootstrap=tape) as reader:
        assert list(reader) == []


async def test_a_bad_frame_is_told_with_its_place_and_reading_can_go_on(
    tape: str, publisher: Publisher, esh4: Any
) -> None:
    await publisher.publish(namespaced(TICKS), STREAM, b'{"schema": "tick-frame.v9"}')
    await publisher.publish(namespaced(TICKS), STREAM, encode(frame_of(esh4[:10], 21)))
    assert await publisher.flush(20.0) == 0
    with consume(TICKS, start={partition_of(STREAM, 12): 19}, follow=False, bootstrap=tape) as reader:
        assert isinstance(next(reader), TickFrame)
        with pytest.raises(BadData, match="schema") as caught:
            next(reader)
        assert "at offset 20" in "".join(caught.value.__notes__)
        rest = list(reader)
    assert [frame.frame for frame in rest if isinstance(frame, TickFrame)] == [21]


async def test_rows_and_events_come_one_by_one(cluster: str, publisher: Publisher) -> None:
    header = {"schema": "pressure.v1", "source": "saved", "stream": STREAM, "kind": "mbo"}
    rows = [{"symbol": "ESH4", "window_ms": 1_000}, {"symbol": "ESH4", "window_ms": 100}]
    await publisher.publish(namespaced("md.pressure.v1"), "k", orjson.dumps({**header, "rows": rows}))
    event = FeedEvent(type="connected", source="saved", stream=STREAM, session="s", epoch=1, at=5)
    await publisher.publish(namespaced("md.feed-events.v1"), event.key, encode_event(event))
    await publisher.publish(namespaced("md.dead-letters.v1"), "k", b"\xff not json")
    assert await publisher.flush(20.0) == 0
    with consume("md.pressure.v1", start="earliest", follow=False, streams=[STREAM], bootstrap=cluster) as reader:
        assert list(reader) == [header | row for row in rows]
    with consume("md.pressure.v1", start="earliest", follow=False, streams=["other"], bootstrap=cluster) as reader:
        assert list(reader) == []
    with consume("md.feed-events.v1", start="earliest", follow=False, bootstrap=cluster) as reader:
        assert [held["type"] for held in reader if isinstance(held, dict)] == ["connected"]
    with consume("md.dead-letters.v1", start="earliest", follow=False, bootstrap=cluster) as reader:
        assert list(reader) == [b"\xff not json"]


def test_an_undeclared_or_missing_topic_is_told(bootstrap_servers: str, namespace: str) -> None:
    with pytest.raises(Misconfigured, match=r"md\.dreams\.v1"):
        consume("md.dreams.v1", bootstrap=bootstrap_servers)
    with pytest.raises(Misconfigured):
        consume(bootstrap=bootstrap_servers)
    with pytest.raises(TopicMismatch, match="topics apply"):
        consume(TICKS, bootstrap=bootstrap_servers)
