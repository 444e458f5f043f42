"""Market hours as people are told them; the times are worked out by hand from the exchange's published hours."""

from __future__ import annotations

from datetime import datetime

import pytest

from tapeline.feed.calendar import always_open, cme_globex_equity
from tapeline.feed.doctor_market import market_check


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("moment", "told"),
    [
        # a Monday in winter: Central is UTC-6
        ("2026-11-16T15:00Z", "open until Mon 2026-11-16 22:00 UTC (Mon 16:00 US/Central); trading day 2026-11-16"),
        # a Wednesday in summer: UTC-5
        ("2026-07-15T15:00Z", "open until Wed 2026-07-15 21:00 UTC (Wed 16:00 US/Central); trading day 2026-07-15"),
        # the evening belongs to the next day
        ("2026-11-16T23:30Z", "open until Tue 2026-11-17 22:00 UTC (Tue 16:00 US/Central); trading day 2026-11-17"),
        (
            "2026-11-16T22:30Z",
            "closed (daily break) until Mon 2026-11-16 23:00 UTC (Mon 17:00 US/Central); trading day 2026-11-17",
        ),
        (
            "2026-11-14T12:00Z",
            "closed (weekend) until Sun 2026-11-15 23:00 UTC (Sun 17:00 US/Central); trading day 2026-11-16",
        ),
        # Thanksgiving: an early close, and on again in the evening
        (
            "2026-11-26T20:00Z",
            "closed (after an early close) until Thu 2026-11-26 23:00 UTC (Thu 17:00 US/Central);"
            " trading day 2026-11-27",
        ),
        (
            "2026-12-25T12:00Z",
            "closed (holiday 2026-12-25) until Sun 2026-12-27 23:00 UTC (Sun 17:00 US/Central); trading day 2026-12-28",
        ),
    ],
)
def test_until_when_it_is_open_or_closed_and_why(moment: str, told: str) -> None:
    check = market_check(cme_globex_equity(), at(moment))
    assert check.status == "ok"
    assert check.remedy is None
    assert check.detail.split("; coming")[0] == f"CME Globex Equity: {told}"


def test_a_short_day_is_told_and_those_ahead() -> None:
    short = market_check(cme_globex_equity(), at("2026-11-26T12:00Z")).detail
    assert "open until Thu 2026-11-26 18:00 UTC (Thu 12:00 US/Central)" in short
    assert "a short one: it closes 4 h early" in short
    ahead = market_check(cme_globex_equity(), at("2026-12-21T12:00Z")).detail
    assert ahead.endswith("coming: holiday Fri 2026-12-25, early close Thu 2026-12-24")
    usual = market_check(cme_globex_equity(), at("2026-11-11T12:00Z")).detail
    assert "coming" not in usual
    assert "short" not in usual


def test_a_market_without_hours_is_open() -> None:
    check = market_check(always_open(), at("2026-11-14T12:00Z"))
    assert (check.status, check.detail) == ("ok", "always open; trading day 2026-11-14 (UTC)")


@pytest.mark.parametrize("moment", ["1999-01-01T00:00Z", "2050-01-01T00:00Z"])
def test_a_clock_that_cannot_be_right_is_red(moment: str) -> None:
    check = market_check(cme_globex_equity(), at(moment))
    assert check.status == "red"
    assert check.remedy is not None
    assert "timedatectl" in check.remedy
