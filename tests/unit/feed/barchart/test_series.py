"""Series: the measured table of names, expiries as instants, underlying futures; labels that contradict."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from tapeline.errors import BadData
from tapeline.feed.barchart.series import future_symbol, series_from_code, series_from_page
from tapeline_simulator.barchart.symbols import vendor_series
from tapeline_simulator.expiries import next_series

CHICAGO = ZoneInfo("America/Chicago")


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 10**9


AT = ns("2025-06-08T12:00:00Z")


# the pages of 2 and 8 June 2025, and what the exchange calls these
@pytest.mark.parametrize(
    ("name", "series", "expiry", "underlying"),
    [
        ("MC6M25", "Q1A", "2025-06-02T15:00", "NQM5"),
        ("MC7M25", "Q2A", "2025-06-09T15:00", "NQM5"),
        ("MM1M25", "Q1B", "2025-06-03T15:00", "NQM5"),
        ("MM2M25", "Q2B", "2025-06-10T15:00", "NQM5"),
        ("MC2M25", "Q2C", "2025-06-11T15:00", "NQM5"),
        ("MM7M25", "Q2D", "2025-06-12T15:00", "NQM5"),
        ("MQ2M25", "QN2", "2025-06-13T15:00", "NQM5"),
        ("MQ6M25", "QNE", "2025-06-30T15:00", "NQU5"),
        ("MC4M25", "Q4C", "2025-06-25T15:00", "NQU5"),
        ("MC10M25", "Q5A", "2025-06-30T15:00", "NQU5"),
        ("MC6N5", "Q1A", "2025-07-07T15:00", "NQU5"),
        ("MC3Z25", "Q3C", "2025-12-17T15:00", "NQZ5"),
        ("MM4Z25", "Q4B", "2025-12-23T15:00", "NQH6"),
        ("MQ4X25", "QN4", "2025-11-28T12:15", "NQZ5"),  # the day after Thanksgiving closes early
    ],
)
def test_a_weekly_is_european_and_fixed_at_the_close_of_its_day(
    name: str, series: str, expiry: str, underlying: str
) -> None:
    found = series_from_code(name, AT)
    at = datetime.fromtimestamp(found.expiry / 1e9, CHICAGO)
    assert (found.series, f"{at:%Y-%m-%dT%H:%M}", found.underlying) == (series, expiry, underlying)
    assert (found.style, found.settlement_method, found.multiplier) == ("european", "vwap_fixing", 20 * 10**9)
    assert (found.label, found.is_from_page) == ("", False)


@pytest.mark.parametrize(
    ("name", "expiry"),
    [
        ("NQM25", "2025-06-20T08:30-05:00"),
        ("NQH26", "2026-03-20T08:30-05:00"),
        ("NQH19", "2019-03-15T08:30-05:00"),
        ("NQM26", "2026-06-18T08:30-05:00"),  # the third Friday is a holiday
        ("ESZ25", "2025-12-19T08:30-06:00"),
    ],
)
def test_a_quarterly_is_american_and_stops_at_the_opening(name: str, expiry: str) -> None:
    found = series_from_code(name, AT)
    assert found.expiry == ns(expiry)
    assert (found.style, found.settlement_method) == ("american", "special_opening")
    assert found.series == name[:2]
    assert found.underlying == name[:3] + name[-1]
    assert found.multiplier == (20 if name.startswith("NQ") else 50) * 10**9


@pytest.mark.parametrize(
    ("at", "name", "expected"),
    [
        ("2025-06-08T12:00Z", "MC6N5", "MC6N25"),
        ("2029-12-30T12:00Z", "MC6F0", "MC6F30"),
        ("2031-01-02T12:00Z", "MQ4Z0", "MQ4Z30"),
        ("2024-06-08T12:00Z", "NQM9", "NQM29"),
        ("2024-06-08T12:00Z", "NQM0", "NQM20"),
    ],
)
def test_a_year_of_one_digit_is_the_nearest(at: str, name: str, expected: str) -> None:
    assert series_from_code(name, ns(at)).vendor_series == expected


def test_all_series_of_three_years_are_those_of_an_independent_list() -> None:
    at = ns("2024-01-02T12:00:00Z")
    listed = next_series(at, 780)
    assert len({series.root for series in listed}) >= 25
    for series in listed:
        found = series_from_code(vendor_series(series), at)
        assert (found.expiry, found.series, found.underlying) == (series.expires_ns, series.root, series.underlying)
        assert (found.style == "american") == series.is_american


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("MC11M25", "not in the table"),
        ("MC0M25", "not in the table"),
        ("EW2M25", "not in the table"),
        ("MQ7M25", "not in the table"),
        ("MM10M25", "no week 5"),
        ("MQ1N25", "2025-07-04 is a holiday"),
        ("NQN25", "month without a future"),
        ("CLM25", "must be a series such as"),
        ("mc2m25", "must be a series such as"),
        ("MC2A25", "must be a series such as"),
        ("MC2M99", "within the calendar"),
    ],
)
def test_a_name_that_does_not_tell_is_refused(name: str, words: str) -> None:
    with pytest.raises(BadData, match=words):
        series_from_code(name, AT)


@pytest.mark.parametrize(
    "label",
    [
        "Monday Week 3 Options Jun '25",
        "E-Mini Nasdaq 100 Monday Week 3 Options Jun '25",
        "mon wk 3 (June 2025)",
        "MC8M25",
        "",
    ],
)
def test_a_label_is_read_in_many_forms(label: str) -> None:
    found = series_from_page(label, "MC8M25", "NQM25", AT)
    assert (found.series, found.expiry) == ("Q3A", ns("2025-06-16T20:00Z"))
    assert (found.label, found.is_from_page) == (label, True)


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("Tuesday Week 3 Options Jun '25", "MC8M25 is Monday week 3 Jun 2025"),
        ("Monday Week 2 Options Jun '25", "says Monday week 2 Jun 2025"),
        ("Monday Week 3 Options Jul '25", "says Monday week 3 Jul 2025"),
        ("Monday Week 3 Options Jun '26", "says Monday week 3 Jun 2026"),
        ("End of Month Options Jun '25", "says month end Jun 2025"),
    ],
)
def test_a_label_that_contradicts_the_name_is_refused(label: str, words: str) -> None:
    with pytest.raises(BadData, match=words):
        series_from_page(label, "MC8M25", "NQM25", AT)


def test_the_page_says_which_future_it_is() -> None:
    assert series_from_page("", "MC8M25", "NQU25", AT).underlying == "NQU5"
    assert series_from_page("", "MQ6M25", None, AT).underlying == "NQU5"
    with pytest.raises(BadData, match="NQM25 cannot be it"):
        series_from_page("", "MQ6M25", "NQM25", AT)
    with pytest.raises(BadData, match="must be a quarterly future"):
        series_from_page("", "MC8M25", "NQN25", AT)
    with pytest.raises(BadData, match="NQU25 cannot be it"):
        series_from_page("", "NQM25", "NQU25", AT)


def test_a_label_tells_what_the_table_does_not() -> None:
    friday = series_from_page("E-Mini S&P 500 Friday Week 2 Options Jun '25", "EW2M25", "ESM25", AT)
    assert (friday.series, friday.underlying, friday.multiplier) == ("EW2", "ESM5", 50 * 10**9)
    assert friday.expiry == ns("2025-06-13T20:00Z")
    monday = series_from_page("Monday Week 5 Options Jun '25", "MC0M25", None, AT)
    assert (monday.series, monday.expiry) == ("Q5A", ns("2025-06-30T20:00Z"))


def test_winter_and_summer_time_differ_by_an_hour() -> None:
    hours = [datetime.fromtimestamp(series_from_code(f"MC2{month}25", AT).expiry / 1e9, UTC).hour for month in "FN"]
    assert hours == [21, 20]


def test_a_future_has_the_symbol_of_the_exchange() -> None:
    assert future_symbol("NQM25") == "NQM5"
    for wrong in ("NQN25", "MC2M25"):
        with pytest.raises(BadData, match="must be a quarterly future"):
            future_symbol(wrong)
