"""When series expire, against dates written down by hand from CME's rules and a wall calendar."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tapeline.errors import Misconfigured
from tapeline_simulator.expiries import future_of, next_futures, next_series


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


JUNE_2026 = """
2026-06-01T20:00 Q1AM6 NQM6
2026-06-02T20:00 Q1BM6 NQM6
2026-06-03T20:00 Q1CM6 NQM6
2026-06-04T20:00 Q1DM6 NQM6
2026-06-05T20:00 QN1M6 NQM6
2026-06-08T20:00 Q2AM6 NQM6
2026-06-09T20:00 Q2BM6 NQM6
2026-06-10T20:00 Q2CM6 NQM6
2026-06-11T20:00 Q2DM6 NQM6
2026-06-12T20:00 QN2M6 NQM6
2026-06-15T20:00 Q3AM6 NQM6
2026-06-16T20:00 Q3BM6 NQM6
2026-06-17T20:00 Q3CM6 NQM6
2026-06-18T13:30 NQM6 NQM6
2026-06-18T20:00 Q3DM6 NQU6
2026-06-22T20:00 Q4AM6 NQU6
2026-06-23T20:00 Q4BM6 NQU6
2026-06-24T20:00 Q4CM6 NQU6
2026-06-25T20:00 Q4DM6 NQU6
2026-06-26T20:00 QN4M6 NQU6
2026-06-29T20:00 Q5AM6 NQU6
2026-06-30T20:00 QNEM6 NQU6
"""
"""A quarterly month whose third Friday, the 19th, is a holiday."""

NOVEMBER_2026 = """
2026-11-02T21:00 Q1AX6 NQZ6
2026-11-03T21:00 Q1BX6 NQZ6
2026-11-04T21:00 Q1CX6 NQZ6
2026-11-05T21:00 Q1DX6 NQZ6
2026-11-06T21:00 QN1X6 NQZ6
2026-11-09T21:00 Q2AX6 NQZ6
2026-11-10T21:00 Q2BX6 NQZ6
2026-11-11T21:00 Q2CX6 NQZ6
2026-11-12T21:00 Q2DX6 NQZ6
2026-11-13T21:00 QN2X6 NQZ6
2026-11-16T21:00 Q3AX6 NQZ6
2026-11-17T21:00 Q3BX6 NQZ6
2026-11-18T21:00 Q3CX6 NQZ6
2026-11-19T21:00 Q3DX6 NQZ6
2026-11-20T21:00 QN3X6 NQZ6
2026-11-23T21:00 Q4AX6 NQZ6
2026-11-24T21:00 Q4BX6 NQZ6
2026-11-25T21:00 Q4CX6 NQZ6
2026-11-27T18:15 QN4X6 NQZ6
2026-11-30T21:00 QNEX6 NQZ6
"""
"""No quarterly; Thanksgiving on the 26th, and a half session after it."""

DECEMBER_2026_AFTER_THE_QUARTERLY = """
2026-12-17T21:00 Q3DZ6 NQZ6
2026-12-18T14:30 NQZ6 NQZ6
2026-12-21T21:00 Q3AZ6 NQH7
"""


@pytest.mark.parametrize(
    ("first", "table"),
    [
        ("2026-06-01T00:00", JUNE_2026),
        ("2026-10-31T00:00", NOVEMBER_2026),
        ("2026-12-17T00:00", DECEMBER_2026_AFTER_THE_QUARTERLY),
    ],
)
def test_a_month_has_these_series(first: str, table: str) -> None:
    expected = [tuple(line.split()) for line in table.strip().splitlines()]
    found = next_series(ns(first), len(expected))[: len(expected)]
    assert [(series.expires_ns, series.code, series.underlying) for series in found] == [
        (ns(expires), code, underlying) for expires, code, underlying in expected
    ]


def test_parents_are_those_that_the_vendor_has() -> None:
    parents = {series.parent for series in next_series(ns("2026-01-01T00:00"), 250)}
    weeklies = {f"Q{n}{day}.OPT" for n in range(1, 6) for day in "ABCD"}
    assert parents == weeklies | {f"QN{n}.OPT" for n in range(1, 5)} | {"QNE.OPT", "NQ.OPT"}


def test_the_next_quarterly_is_always_among_them() -> None:
    series = next_series(ns("2026-11-23T04:30"), 3)
    assert [each.code for each in series] == ["Q4AX6", "Q4BX6", "Q4CX6", "NQZ6"]
    assert [each.is_american for each in series] == [False, False, False, True]


def test_a_series_is_gone_at_the_moment_it_expires() -> None:
    expiry = ns("2026-11-23T21:00")
    assert next_series(expiry - 1, 1)[0].code == "Q4AX6"
    assert next_series(expiry, 1)[0].code == "Q4BX6"


def test_futures_expire_on_the_third_friday_or_the_business_day_before() -> None:
    assert [(future.symbol, future.expires_ns) for future in next_futures(ns("2026-01-01T00:00"), 5)] == [
        ("NQH6", ns("2026-03-20T13:30")),
        ("NQM6", ns("2026-06-18T13:30")),
        ("NQU6", ns("2026-09-18T13:30")),
        ("NQZ6", ns("2026-12-18T14:30")),
        ("NQH7", ns("2027-03-19T13:30")),
    ]


def test_a_symbol_means_the_next_future_of_that_name() -> None:
    assert future_of("NQZ6", ns("2026-11-23T00:00")).expires_ns == ns("2026-12-18T14:30")
    assert future_of("NQZ5", ns("2026-11-23T00:00")).expires_ns == ns("2035-12-21T14:30")
    for symbol in ("ESZ6", "NQX6", "NQ", ""):
        with pytest.raises(Misconfigured, match="such as NQZ6"):
            future_of(symbol, ns("2026-11-23T00:00"))


def test_beyond_the_calendar_nothing_is_made_up() -> None:
    with pytest.raises(Misconfigured, match="knows no expiries in 2036"):
        future_of("NQH6", ns("2026-11-23T00:00"))
