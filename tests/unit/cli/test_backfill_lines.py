"""What `tapeline backfill` and `tapeline gaps` understand and say."""

from __future__ import annotations

from typing import Any, Final

import pytest
from tests.unit.watchdog.feeding import S, ns

from tapeline.errors import Misconfigured
from tapeline.model.backfill import BackfillEvent, BackfillRequest, request_id
from tapeline.model.control import Interval
from tapeline.model.coverage import Coverage, MissingInterval
from tapeline_cli.backfill_lines import backfill_line, detail_lines, new_request, parse_moment
from tapeline_cli.backfill_log import Backfill
from tapeline_cli.gaps import gap_document, gap_line, gaps_of

NOON: Final = ns("2026-11-24 12:00")
ARGUMENTS: Final[dict[str, Any]] = {
    "source": "databento",
    "stream": "GLBX.MDP3/NQ.FUT",
    "kind": "mbo",
    "begin": "2026-11-24T10:00",
    "end": "2026-11-24T10:05:00.000000001Z",
    "symbols": None,
    "cap_usd": None,
}


def request(**changed: str | None) -> BackfillRequest:
    return new_request(**(ARGUMENTS | changed), sources={"databento"}, requested_by="someone", now_ns=NOON)


def event(kind: Any, of: BackfillRequest, **fields: Any) -> BackfillEvent:
    return BackfillEvent(type=kind, request=of, at=NOON + 5 * S, **fields)


def test_a_request_is_what_the_watchdog_would_ask_for() -> None:
    begin = ns("2026-11-24 10:00")
    asked = request(symbols="NQM7, NQZ6", cap_usd="1.25")
    window = Interval(ts_event_from=begin, ts_event_until=begin + 300 * S + 1)
    assert asked.window == window
    assert asked.id == request_id("databento", "GLBX.MDP3", "GLBX.MDP3/NQ.FUT", "mbo", ("NQZ6", "NQM7"), window)
    assert (asked.symbols, asked.cost_cap_micro_usd, asked.requested_by) == (("NQM7", "NQZ6"), 1_250_000, "someone")
    assert (request().symbols, request().cost_cap_micro_usd) == (("*",), None)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"source": "nobody"}, "SOURCE: 'nobody' cannot be backfilled; there are: databento"),
        ({"stream": "NQ.FUT"}, "STREAM: must be dataset/subscription"),
        ({"kind": "chain"}, "KIND: must be one of mbo, l1"),
        ({"begin": "yesterday"}, "--from: must be a date or a time in ISO 8601"),
        ({"end": "2026-11-24T10:05:00."}, "--to: must be a date or a time in ISO 8601"),
        ({"end": "2026-11-24T10:00"}, r"--to \(2026-11-24 10:00:00Z\) must be after --from"),
        ({"end": "2026-11-24T12:01"}, "must not be in the future"),
        ({"symbols": " , "}, "--symbols: must be raw symbols"),
        ({"cap_usd": "-1"}, "--cap-usd: must be a number of US dollars from 0 on"),
        ({"cap_usd": "much"}, "--cap-usd"),
        ({"cap_usd": ""}, "--cap-usd"),
    ],
)
def test_a_mistake_is_named_with_its_rule(changed: dict[str, str], named: str) -> None:
    with pytest.raises(Misconfigured, match=named):
        request(**changed)


def test_moments_have_nanoseconds_and_are_utc_unless_they_say_otherwise() -> None:
    at = ns("2026-11-24 14:30")
    assert parse_moment("--from", "2026-11-24T14:30:00.000000017") == at + 17
    assert parse_moment("--from", "2026-11-24T08:30:00.5-06:00") == at + S // 2
    assert parse_moment("--from", "2026-11-24") == ns("2026-11-24 00:00")


def test_a_line_says_how_far_a_request_is() -> None:
    asked = request()
    where = "databento GLBX.MDP3/NQ.FUT mbo 2026-11-24 10:00:00Z – 2026-11-24 10:05:00Z"
    assert backfill_line(Backfill(asked)) == f"{asked.id}  requested     {where}"
    so_far = {"estimated_records": 4_000, "cost_micro_usd": 1_500_000, "read": 1_200, "published": 1_188, "skipped": 12}
    line = backfill_line(Backfill(asked, event("progress", asked, **so_far)))
    said = "1,200 of about 4,000 read, 1,188 put on the tape, 12 were on it; $1.50"
    assert line == f"{asked.id}  progress      {where}  {said}"
    failed = Backfill(asked, event("failed", asked, reason="503", next_attempt_at=NOON + 60 * S))
    assert backfill_line(failed).endswith("503; next attempt at 2026-11-24 12:01:00Z")
    details = detail_lines(Backfill(asked, event("started", asked, worker="host-1", attempt=2, back_end="replay")))
    assert details[1:] == [
        "  asked for by someone at 2026-11-24 12:00:00Z: asked for by hand",
        "  cap: that of the backfill service",
        "  started at 2026-11-24 12:00:05Z by host-1 from replay, attempt 2",
    ]


@pytest.mark.parametrize(
    ("kind", "fields", "over", "given_up"),
    [
        ("accepted", {}, False, False),
        ("failed", {"next_attempt_at": NOON}, False, False),
        ("completed", {"next_attempt_at": NOON}, False, False),
        ("completed", {}, True, False),
        ("proven", {}, True, False),
        ("rejected", {}, True, True),
        ("cancelled", {}, True, True),
    ],
)
def test_a_request_is_over_when_nothing_more_is_tried(
    kind: str, fields: dict[str, Any], over: bool, given_up: bool
) -> None:
    asked = request()
    found = Backfill(asked, event(kind, asked, **fields))
    assert (found.is_over, found.is_given_up, found.state) == (over, given_up, kind)


def test_what_was_given_up_and_asked_for_again_is_requested() -> None:
    asked = request()
    again = asked.model_copy(update={"requested_at": NOON + 10 * S})
    found = Backfill(again, event("rejected", asked, reason="above the cap"))
    assert (found.state, found.is_over) == ("requested", False)
    assert "above the cap" not in backfill_line(found)


def day(name: str, *missing: MissingInterval) -> Coverage:
    return Coverage(
        source="databento", stream="GLBX.MDP3/NQ.FUT", kind="mbo", trading_day=name, missing=missing, at=NOON
    )


def part(gap_id: str, stage: Any, begin: int | None, end: int | None, **fields: Any) -> MissingInterval:
    of = {"symbols": ("*",), "reason": "reset by peer", "opened_at": NOON}
    return MissingInterval(gap_id=gap_id, stage=stage, ts_event_from=begin, ts_event_until=end, **(of | fields))


def test_gaps_are_joined_over_days_with_their_backfills_and_those_that_were_proven() -> None:
    asked = request().model_copy(update={"gap_id": "filled"})
    backfills = {asked.id: Backfill(asked, event("proven", asked, read=5, counted=5))}
    two_days = [part("long", "requested", NOON, NOON + 9 * S), part("long", "requested", NOON + 9 * S, NOON + 60 * S)]
    late = part("late", "open", NOON + 99 * S, None, symbols=("NQZ6",))
    found = gaps_of([day("2026-11-24", two_days[0]), day("2026-11-25", two_days[1], late)], backfills)
    assert [gap.gap.gap_id for gap in found] == ["filled", "long", "late"]
    filled, long, open_one = found
    assert (long.gap.ts_event_from, long.gap.ts_event_until) == (NOON, NOON + 60 * S)
    assert [gap.is_awaited for gap in found] == [False, True, True]
    assert gap_line(filled).startswith(
        "proven    databento GLBX.MDP3/NQ.FUT mbo  2026-11-24 10:00:00Z – 2026-11-24 10:05"
    )
    assert gap_line(open_one) == (
        "open      databento GLBX.MDP3/NQ.FUT mbo NQZ6  2026-11-24 12:01:39Z – now  reset by peer"
    )
    document = gap_document(filled)
    assert (document["stage"], document["backfill"]["state"], document["ts_event_from"]) == (
        "proven",
        "proven",
        str(ns("2026-11-24 10:00")),
    )


def test_a_gap_that_is_given_up_says_why() -> None:
    [gap] = gaps_of([day("2026-11-24", part("g", "given_up", None, NOON, given_up="rejected: above the cap"))], {})
    assert gap_line(gap).endswith(
        "?  – 2026-11-24 12:00:00Z  reset by peer; rejected: above the cap".replace("?  ", "? ")
    )
    assert not gap.is_awaited


def test_what_was_given_up_is_asked_for_again_though_the_service_s_clock_is_ahead() -> None:
    given_up = Backfill(request(), event("rejected", request()))
    again = given_up.again(request())
    assert again.requested_at == NOON + 5 * S + 1
    assert Backfill(again, given_up.event).is_asked_again
    later = request().model_copy(update={"requested_at": NOON + 6 * S})
    assert given_up.again(later) == later
    assert Backfill(request()).again(later) == later
