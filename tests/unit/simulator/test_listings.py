"""Which instruments a symbol means, and when."""

from __future__ import annotations

import pytest

from tapeline_simulator.listings import ALL_SYMBOLS, Listing, Listings

NOON = 1_790_000_000_000_000_000
DAY = 86_400 * 10**9


def listing(number: int, symbol: str, parent: str, letter: str, listed_ns: int, expires_ns: int) -> Listing:
    return Listing(number, symbol, parent, letter, listed_ns, expires_ns, b"")


NEXT = listing(2, "NQH7", "NQ.FUT", "F", NOON - 90 * DAY, NOON + 180 * DAY)
NEAREST = listing(1, "NQZ6", "NQ.FUT", "F", NOON - 90 * DAY, NOON + 90 * DAY)
CALENDAR_SPREAD = listing(3, "NQZ6-NQH7", "NQ.FUT", "S", NOON - 90 * DAY, NOON + 90 * DAY)
QUARTERLY_CALL = listing(4, "NQZ6 C25000", "NQ.OPT", "C", NOON - 90 * DAY, NOON + 90 * DAY)
WEEKLY_PUT = listing(5, "Q4DU6 P25000", "Q4D.OPT", "P", NOON - 7 * DAY, NOON + DAY)
LISTED_TOMORROW = listing(6, "Q4DU6 P24000", "Q4D.OPT", "P", NOON + DAY // 2, NOON + DAY)


@pytest.fixture
def listings() -> Listings:
    every = Listings()
    for one in (NEXT, NEAREST, CALENDAR_SPREAD, QUARTERLY_CALL, WEEKLY_PUT, LISTED_TOMORROW):
        every.add(one)
    return every


@pytest.mark.parametrize(
    ("stype_in", "symbol", "expected"),
    [
        ("raw_symbol", "NQZ6", [NEAREST]),
        ("raw_symbol", "NQZ6 C25000", [QUARTERLY_CALL]),
        ("raw_symbol", "NQ", []),
        ("instrument_id", "2", [NEXT]),
        ("instrument_id", "77", []),
        ("instrument_id", "NQZ6", []),
        ("parent", "NQ.FUT", [NEXT, NEAREST, CALENDAR_SPREAD]),
        ("parent", "NQ.OPT", [QUARTERLY_CALL]),
        ("parent", "Q4D.OPT", [WEEKLY_PUT]),
        ("parent", "ES.FUT", []),
        ("continuous", "NQ.c.0", [NEAREST]),
        ("continuous", "NQ.n.0", [NEAREST]),
        ("continuous", "NQ.v.1", [NEXT]),
        ("continuous", "NQ.c.2", []),
        ("continuous", "NQ.x.0", []),
        ("continuous", "NQ.c", []),
        ("continuous", "NQ.c.-1", []),
        ("isin", "NQZ6", []),
    ],
)
def test_a_symbol_means(listings: Listings, stype_in: str, symbol: str, expected: list[Listing]) -> None:
    assert listings.resolve(stype_in, symbol, NOON) == expected


@pytest.mark.parametrize("stype_in", ["raw_symbol", "parent", "continuous"])
def test_all_symbols_means_everything_that_is_listed(listings: Listings, stype_in: str) -> None:
    assert listings.resolve(stype_in, ALL_SYMBOLS, NOON) == [
        NEXT,
        NEAREST,
        CALENDAR_SPREAD,
        QUARTERLY_CALL,
        WEEKLY_PUT,
    ]


def test_an_instrument_is_there_from_its_listing_until_its_expiry(listings: Listings) -> None:
    def weekly(at_ns: int) -> list[Listing]:
        return listings.resolve("parent", "Q4D.OPT", at_ns)

    assert weekly(NOON - 7 * DAY - 1) == []
    assert weekly(NOON - 7 * DAY) == [WEEKLY_PUT]
    assert weekly(NOON + DAY // 2) == [WEEKLY_PUT, LISTED_TOMORROW]
    assert weekly(NOON + DAY - 1) == [WEEKLY_PUT, LISTED_TOMORROW]
    assert weekly(NOON + DAY) == []
    assert listings.resolve("continuous", "NQ.c.0", NOON + 90 * DAY) == [NEXT]


def test_a_number_and_a_symbol_may_be_used_again(listings: Listings) -> None:
    again = listing(WEEKLY_PUT.instrument_id, "Q1AV6 P25000", "Q1A.OPT", "P", NOON + 2 * DAY, NOON + 9 * DAY)
    listings.add(again)
    assert len(listings) == 7
    assert listings.resolve("instrument_id", "5", NOON) == [WEEKLY_PUT]
    assert listings.resolve("instrument_id", "5", NOON + 3 * DAY) == [again]
