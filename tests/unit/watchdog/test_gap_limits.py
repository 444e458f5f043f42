"""What the ledger of gaps holds against: damaged messages, gaps that stay open over days, times that are none."""

from __future__ import annotations

from typing import Any, Final

import pytest
from tests.unit.watchdog.feeding import S, ns, told
from tests.unit.watchdog.test_gaps import DAY, KEY, NINE, Script, outage, spans

from tapeline.errors import BadData
from tapeline.model.columns import INT64_MAX
from tapeline.model.coverage import Coverage, MissingInterval
from tapeline.model.frames import Gap

NEXT_DAY: Final = "2026-11-25"
AFTER_ALL_DAYS: Final = ns("2036-01-05 00:00")


def look(script: Script) -> None:
    """Do what a watchdog does after each reading."""
    script.ask()
    script.ledger.due_coverage(script.at)
    script.ledger.report(script.at)
    script.ledger.forget(script.at)


@pytest.mark.parametrize("end", [INT64_MAX, AFTER_ALL_DAYS])
def test_a_gap_that_ends_after_all_days_is_bad_data_and_leaves_nothing_behind(end: int) -> None:
    script = Script()
    script.connect("s1")
    gap = Gap("g1", "bounded", ("mbo",), ("*",), "the line broke", NINE, end)
    with pytest.raises(BadData):
        script.put(told("gap_closed", KEY, script.at, gap=gap, session="s1", epoch=script.epoch))
    look(script)
    assert not script.gaps()


@pytest.mark.parametrize("stage", ["open", "bounded", "given_up"])
@pytest.mark.parametrize(
    "times",
    [
        {"ts_event_from": 1, "ts_event_until": 2},
        {"ts_event_from": INT64_MAX - 1, "ts_event_until": INT64_MAX},
        {"ts_event_until": 2, "opened_at": 1},
        {"opened_at": AFTER_ALL_DAYS},
    ],
)
def test_coverage_that_names_a_gap_outside_all_days_is_bad_data_and_no_more(stage: Any, times: dict[str, int]) -> None:
    script = Script()
    part = MissingInterval(gap_id="g1", stage=stage, symbols=("*",), reason="the line broke", **times)
    damaged = Coverage(source=KEY.source, stream=KEY.stream, kind="mbo", trading_day=DAY, missing=(part,), at=script.at)
    with pytest.raises(BadData):
        script.ledger.restore(damaged)
    script.ledger.restored()
    look(script)
    assert not script.gaps()


def test_a_gap_that_stays_open_over_days_is_missing_on_each_of_them() -> None:
    script = Script()
    script.connect("s1")
    script.beat(NINE + 600 * S)
    script.lose("g1", NINE + 600 * S, "NQZ6")
    script.beat(NINE + 86_400 * S, step_s=600)
    days = script.days()
    assert spans(days[DAY].covered) == [(0, 600)]
    assert days[NEXT_DAY].covered == ()
    assert [part.gap_id for part in days[NEXT_DAY].missing] == ["g1"]
    script.bound("g1", NINE + 600 * S, NINE + 3_600 * S - 1, "NQZ6")
    days = script.days()
    assert spans(days[DAY].covered)[1][0] == 3_600
    assert days[NEXT_DAY].missing == ()
    assert days[NEXT_DAY].covered != ()


def test_a_venue_time_that_is_still_to_come_covers_nothing() -> None:
    script = Script()
    script.connect("s1")
    script.beat(NINE + 60 * S)
    with pytest.raises(BadData, match="ahead"):
        script.beat_once(ns("2030-01-05 00:00"))
    script.beat(NINE + 120 * S)
    assert {day: spans(told.covered) for day, told in script.days().items()} == {DAY: [(0, 120)]}


def test_what_is_over_is_forgotten_with_its_day_and_what_is_awaited_is_not() -> None:
    script = Script()
    outage(script)
    [request] = script.ask()
    lane = script.ledger._lanes[KEY]
    script.ledger.forget(script.at + 10 * 86_400 * S)
    assert list(lane.standings) == [request.id]
    assert list(script.gaps()) == ["g1"]
    script.tell("proven", request, read=3, counted=3)
    script.ledger.forget(script.at + 10 * 86_400 * S)
    assert lane.standings == {}
    assert script.gaps() == {}
