"""What requests mean to the vendor, and where its counts stand for a window's."""

from __future__ import annotations

import pytest

from tapeline.errors import Misconfigured, Refused
from tapeline.model.backfill import BackfillRequest, request_id
from tapeline.model.columns import TickKind
from tapeline.model.control import Interval
from tapeline_databento.backfill.asking import Asked, asked_of, padded, spans_to_count

MIDNIGHT = 1_790_035_200 * 10**9  # 2026-09-22T00:00:00Z


def request(
    stream: str = "GLBX.MDP3/NQ.FUT", kind: TickKind = "mbo", symbols: tuple[str, ...] = ("*",)
) -> BackfillRequest:
    window = Interval(ts_event_from=100, ts_event_until=200)
    return BackfillRequest(
        id=request_id("databento", "GLBX.MDP3", stream, kind, symbols, window),
        source="databento",
        dataset="GLBX.MDP3",
        stream=stream,
        kind=kind,
        symbols=symbols,
        window=window,
        requested_by="test",
        requested_at=300,
    )


@pytest.mark.parametrize(
    ("kind", "schema"),
    [("mbo", "mbo"), ("l1", "mbp-1"), ("trade", "trades"), ("status", "status"), ("statistics", "statistics")],
)
def test_kinds_are_asked_for_by_the_schemas_of_the_live_lines(kind: TickKind, schema: str) -> None:
    asked = asked_of(request(kind=kind), "definition=NQ.FUT")
    assert (asked.schema, asked.symbols, asked.symbol_type) == (schema, ("NQ.FUT",), "parent")
    assert asked.routes == {kind: {"NQ.FUT": "GLBX.MDP3/NQ.FUT"}}


def test_the_schema_of_a_stream_is_the_one_that_is_subscribed_to() -> None:
    assert asked_of(request(kind="l1"), "tbbo=NQ.FUT; mbp-1=NQ.OPT").schema == "tbbo"
    assert asked_of(request(kind="l1"), "tbbo=NQ.OPT; trades=NQ.FUT").schema == "mbp-1"


def test_raw_symbols_are_asked_for_alone_and_go_to_the_stream() -> None:
    asked = asked_of(request(symbols=("NQZ6", "NQH7", "NQZ6")), "mbo=NQ.FUT")
    assert (asked.symbols, asked.symbol_type) == (("NQH7", "NQZ6"), "raw_symbol")
    assert asked.routes["mbo"] == {"NQH7": "GLBX.MDP3/NQ.FUT", "NQZ6": "GLBX.MDP3/NQ.FUT"}


@pytest.mark.parametrize("stream", ["GLBX.MDP3", "XNAS.ITCH/NQ.FUT", "GLBX.MDP3/NQ.what", "GLBX.MDP3/ALL_SYMBOLS"])
def test_streams_of_others_are_refused(stream: str) -> None:
    with pytest.raises(Refused, match="name one that the Databento producer writes"):
        asked_of(request(stream), "mbo=NQ.FUT")


def test_more_symbols_than_the_vendor_takes_are_told() -> None:
    with pytest.raises(Misconfigured, match="2,001 symbols"):
        asked_of(request(symbols=tuple(f"S{number}" for number in range(2_001))), "mbo=NQ.FUT")


@pytest.mark.parametrize(
    ("schema", "spans"),
    [
        ("mbo", [(MIDNIGHT - 5, MIDNIGHT), (MIDNIGHT + 1, MIDNIGHT + 5)]),
        ("trades", [(MIDNIGHT - 5, MIDNIGHT), (MIDNIGHT, MIDNIGHT + 5)]),
    ],
)
def test_the_books_of_midnight_are_not_asked_for(schema: str, spans: list[tuple[int, int]]) -> None:
    asked = Asked("GLBX.MDP3", "GLBX.MDP3/NQ.FUT", "mbo", schema, ("NQ.FUT",), "parent")
    over = asked.captured(Interval(ts_event_from=MIDNIGHT - 5, ts_event_until=MIDNIGHT + 5))
    assert [(each.start_ns, each.end_ns) for each in over.requests()] == spans
    after = asked.captured(Interval(ts_event_from=MIDNIGHT, ts_event_until=MIDNIGHT + 5))
    assert [(each.start_ns, each.end_ns) for each in after.requests()] == spans[1:]


def test_a_count_stands_well_inside_of_a_window_and_its_ends_are_looked_at() -> None:
    window = Interval(ts_event_from=100, ts_event_until=200)
    inside, edges = spans_to_count(window, 10)
    assert inside == Interval(ts_event_from=110, ts_event_until=190)
    assert edges == [
        Interval(ts_event_from=90, ts_event_until=110),
        Interval(ts_event_from=190, ts_event_until=210),
    ]
    assert spans_to_count(window, 50) == (None, [padded(window, 50)])
