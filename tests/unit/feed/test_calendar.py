"""The generated table of sessions agrees with the calendar it was made from."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas_market_calendars
import pytest

from tapeline.errors import BadData
from tapeline.feed.calendar import always_open, calendar_of, cme_globex_equity


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def test_agrees_with_pandas_market_calendars() -> None:
    table = cme_globex_equity()
    schedule = pandas_market_calendars.get_calendar("CME Globex Equity").schedule(
        str(table.days[0]), str(table.days[-1])
    )
    assert schedule.index.values.astype("datetime64[D]").tolist() == table.days.tolist()
    opens = schedule.market_open.dt.tz_localize(None).to_numpy().astype("datetime64[ns]").astype(np.int64)
    closes = schedule.market_close.dt.tz_localize(None).to_numpy().astype("datetime64[ns]").astype(np.int64)
    assert opens.tolist() == table.opens.tolist()
    assert closes.tolist() == table.closes.tolist()


@pytest.mark.parametrize(
    ("at", "day", "is_open"),
    [
        ("2023-12-25T22:59:59", "2023-12-26", False),  # Christmas: the pre-open belongs to the next day
        ("2023-12-25T23:00:00", "2023-12-26", True),
        ("2024-11-29T18:14:59", "2024-11-29", True),  # a half-day
        ("2024-11-29T18:15:00", "2024-12-02", False),
        ("2024-03-08T21:59:59", "2024-03-08", True),  # the last close before daylight saving
        ("2024-03-10T22:00:00", "2024-03-11", True),
    ],
)
def test_known_moments(at: str, day: str, is_open: bool) -> None:
    calendar = calendar_of("GLBX.MDP3")
    assert calendar.trading_day(ns(at)) == day
    assert calendar.is_open(ns(at)) is is_open


@pytest.mark.parametrize(
    ("at", "opens", "closed"),
    [
        ("2023-12-25T22:59:59", "2023-12-25T23:00:00", "2023-12-22T22:00:00"),  # Christmas
        ("2023-12-25T23:00:00", "2023-12-25T23:00:00", "2023-12-22T22:00:00"),
        ("2024-11-29T18:14:59", "2024-11-29T18:14:59", "2024-11-28T18:00:00"),  # a half-day after another
        ("2024-11-29T18:15:00", "2024-12-01T23:00:00", "2024-11-29T18:15:00"),
        ("2024-03-08T22:00:00", "2024-03-10T22:00:00", "2024-03-08T22:00:00"),  # daylight saving begins
    ],
)
def test_the_next_open_and_the_last_close(at: str, opens: str, closed: str) -> None:
    calendar = calendar_of("GLBX.MDP3")
    assert calendar.next_open(ns(at)) == ns(opens)
    assert calendar.last_close(ns(at)) == ns(closed)


def test_before_the_first_close_none_is_guessed() -> None:
    calendar = cme_globex_equity()
    with pytest.raises(BadData, match="before the first close"):
        calendar.last_close(int(calendar.opens[0]))


def test_outside_the_table_is_said_not_guessed() -> None:
    for at in ("2009-01-01T00:00:00", "2040-01-01T00:00:00"):
        with pytest.raises(BadData, match="outside the calendar CME Globex Equity"):
            cme_globex_equity().trading_day(ns(at))


def test_other_datasets_never_close() -> None:
    assert calendar_of("TAPELINE.SIM") is always_open()
    assert always_open().is_open(ns("2024-12-25T12:00:00"))
    assert always_open().trading_day(ns("2024-12-25T23:59:59")) == "2024-12-25"
    assert always_open().day_end(ns("2024-12-25T23:59:59")) == ns("2024-12-26T00:00:00")
