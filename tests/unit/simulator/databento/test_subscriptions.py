"""Subscriptions: their lines put together, and how far back their replays reach."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from tests.unit.simulator.databento.records import SECOND

from tapeline_simulator.databento.subscriptions import SubscriptionLines, earliest_replay_ns, replay_clock


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


def test_lines_of_two_subscriptions_may_come_mixed() -> None:
    lines = SubscriptionLines()
    line = {"schema": "mbo", "stype_in": "raw_symbol"}
    assert lines.add(line | {"symbols": "A,B", "id": "1", "is_last": "0"}) is None
    assert lines.add(line | {"symbols": "X", "id": "2", "is_last": "0"}) is None
    first = lines.add(line | {"symbols": "C", "id": "1", "is_last": "1"})
    second = lines.add(line | {"symbols": "Y", "id": "2"})
    assert first is not None
    assert second is not None
    assert (first.number, first.symbols, second.number, second.symbols) == (1, ("A", "B", "C"), 2, ("X", "Y"))


@pytest.mark.parametrize(
    ("dataset", "schema", "now", "earliest"),
    [
        ("GLBX.MDP3", "mbo", "2026-11-26T20:00:00", "2026-11-22T23:00:00"),
        ("GLBX.MDP3", "definition", "2026-07-10T20:00:00", "2026-07-05T22:00:00"),
        ("GLBX.MDP3", "mbo", "2026-11-22T22:59:59", "2026-11-15T23:00:00"),
        ("GLBX.MDP3", "mbo", "2026-11-23T10:00:00", "2026-11-22T10:00:00"),
        ("GLBX.MDP3", "trades", "2026-11-26T20:00:00", "2026-11-25T20:00:00"),
        ("XNAS.ITCH", "mbo", "2026-11-26T20:00:00", "2026-11-25T20:00:00"),
    ],
)
def test_how_far_back_a_replay_reaches(dataset: str, schema: str, now: str, earliest: str) -> None:
    assert earliest_replay_ns(dataset, schema, at(now)) == at(earliest)


def test_quotes_by_the_interval_are_replayed_by_their_capture() -> None:
    assert [replay_clock(schema) for schema in ("mbo", "bbo-1s", "cbbo-1m")] == ["ts_event", "ts_recv", "ts_recv"]
