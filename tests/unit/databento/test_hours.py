"""Market hours as limits: margins, the maintenance break, weekends, holidays, half-days, daylight saving."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from tapeline.feed.calendar import always_open, cme_globex_equity
from tapeline_databento.hours import Hours
from tapeline_databento.settings import DatabentoSettings


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def hours(*, limited: bool = True) -> Hours:
    settings = DatabentoSettings(
        api_key=SecretStr("db-1"), market_hours_only=limited, before_open_s=300, after_close_s=60
    )
    return Hours(cme_globex_equity(), settings)


@pytest.mark.parametrize(
    ("at", "begins"),
    [
        ("2026-07-15T20:59:59", None),  # Wednesday, open
        ("2026-07-15T21:00:59", None),  # within the margin after the close
        ("2026-07-15T21:01:00", "2026-07-15T21:55:00"),  # the maintenance break
        ("2026-07-15T21:55:00", None),
        ("2026-07-17T21:01:00", "2026-07-19T21:55:00"),  # a weekend
        ("2026-03-06T22:01:00", "2026-03-08T21:55:00"),  # a weekend in which daylight saving begins
        ("2026-10-30T21:01:00", "2026-11-01T22:55:00"),  # and one in which it ends
        ("2024-11-29T18:16:00", "2024-12-01T22:55:00"),  # a half-day
        ("2023-12-24T12:00:00", "2023-12-25T22:55:00"),  # Christmas on a Monday: no session on Sunday evening
    ],
)
def test_a_session_begins_before_the_open_and_ends_after_the_close(at: str, begins: str | None) -> None:
    wait_ns = hours().wait_ns(ns(at))
    assert wait_ns == (0 if begins is None else ns(begins) - ns(at))
    assert hours().may_stream(ns(at)) is (begins is None)
    assert hours(limited=False).may_stream(ns(at))


def test_a_market_that_never_closes_is_never_waited_for() -> None:
    settings = DatabentoSettings(api_key=SecretStr("db-1"), market_hours_only=True, before_open_s=0, after_close_s=0)
    assert Hours(always_open(), settings).wait_ns(ns("2026-07-18T12:00:00")) == 0


def test_whether_the_market_is_open_has_no_margins() -> None:
    assert hours().is_open(ns("2026-07-15T20:59:59"))
    assert not hours().is_open(ns("2026-07-15T21:00:00"))
