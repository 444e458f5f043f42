"""What may be published, in which order and how old: decisions over values."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from tapeline.feed.calendar import always_open, cme_globex_equity
from tapeline_barchart.hybrid import Validity, parse_policies

CHICAGO = ZoneInfo("America/Chicago")
CME = cme_globex_equity()
S = 10**9


def at(*moment: int) -> int:
    return round(datetime(*moment, tzinfo=CHICAGO).timestamp()) * S  # type: ignore[arg-type, misc]


TUESDAY_NS = at(2025, 6, 10, 9)


def test_a_stream_has_its_own_policy_else_its_product_s_else_that_of_all() -> None:
    policies = parse_policies("*=live:3600, cache:7200; NQ = live ; MQ2M25=saved:60")
    assert policies.of("NQ", "MQ2M25").oldest_s == {"saved": 60.0}
    assert policies.of("NQ", "MC2M25").oldest_s == {"live": None}
    assert policies.of("ES", "E1AM25").oldest_s == {"live": 3600.0, "cache": 7200.0}
    assert parse_policies("NQ=live").of("ES", "E1AM25").oldest_s == {}


@pytest.mark.parametrize(
    ("policy", "asked"),
    [
        ("*=live", True),
        ("*=cache,saved", False),
        ("NQ=cache", False),
        ("*=live; NQ=cache", False),
        ("MC2M25=live", True),
    ],
)
def test_the_vendor_s_list_is_asked_for_only_where_something_may_be_live(policy: str, asked: bool) -> None:
    assert parse_policies(policy).allow_live("NQ") is asked


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "at least one stream"),
        ("live", r"must be like \*=live:3600"),
        ("*=fresh", "'fresh' must be one of live, cache, saved"),
        ("*=live, live:5", "live must be named once"),
        ("*=live; *=cache", "must have one policy"),
        ("*=cache:-5", "must be a whole number of seconds"),
        ("*=cache:", "must be a whole number of seconds"),
    ],
)
def test_a_policy_that_cannot_be_read_is_refused_with_the_rule(text: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        parse_policies(text)


def test_live_comes_before_kept_before_saved_but_what_is_still_valid_saves_a_call() -> None:
    policy = parse_policies("*=saved, cache, live").of("NQ", "MC2M25")
    assert policy.order(cache_is_valid=False) == ("live", "cache", "saved")
    assert policy.order(cache_is_valid=True) == ("cache", "live", "saved")
    assert parse_policies("*=saved, live").of("NQ", "x").order(cache_is_valid=True) == ("live", "saved")


def test_data_may_be_as_old_as_the_policy_says_and_no_older() -> None:
    policy = parse_policies("*=cache:3600, saved").of("NQ", "MC2M25")
    assert policy.refusal("cache", TUESDAY_NS - 3600 * S, TUESDAY_NS, CME) == ""
    assert policy.refusal("cache", TUESDAY_NS - 3601 * S, TUESDAY_NS, CME) == (
        "cache: its data is 3,601 s of open market old, and the policy allows 3,600 s"
    )
    assert policy.refusal("saved", TUESDAY_NS - 10**9 * S, TUESDAY_NS, CME) == ""


def test_a_closed_market_lets_nothing_grow_old() -> None:
    policy = parse_policies("*=cache:3600").of("NQ", "MC2M25")
    friday_ns, sunday_ns = at(2025, 6, 6, 15, 50), at(2025, 6, 8, 12)
    assert policy.refusal("cache", friday_ns, sunday_ns, CME) == ""
    assert policy.refusal("cache", friday_ns, sunday_ns, always_open()) != ""


VALIDITY = Validity(open_s=300.0, closed_s=1_800.0)


def test_what_is_kept_saves_a_call_for_five_minutes_in_hours_and_thirty_outside() -> None:
    assert VALIDITY.until_ns(TUESDAY_NS, CME) == TUESDAY_NS + 300 * S
    saturday_ns = at(2025, 6, 7, 12)
    assert VALIDITY.until_ns(saturday_ns, CME) == saturday_ns + 1_800 * S


def test_what_was_kept_before_the_open_holds_no_longer_than_what_is_fetched_at_it() -> None:
    # It opens at 17:00 on Sunday.
    assert VALIDITY.until_ns(at(2025, 6, 8, 16, 55), CME) == at(2025, 6, 8, 17, 5)
    assert VALIDITY.until_ns(at(2025, 6, 8, 16, 20), CME) == at(2025, 6, 8, 16, 50)
