"""Which series of the vendor's list are asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.barchart.test_hybrid import TUESDAY_NS

from tapeline.feed.barchart.page import ListedSeries
from tapeline.feed.barchart.series import series_from_code
from tapeline_barchart.following import Follow, followed, parse_follow, unlisted

LISTED = [
    ListedSeries(
        replace(series_from_code(name, TUESDAY_NS), is_from_page=True), f"/futures/quotes/NQM25/options/{name}"
    )
    for name in ("MQ2M25", "MC2M25", "NQM25", "MM2M25", "MM7M25")
]


def names(follow: str, now_ns: int = TUESDAY_NS) -> list[str]:
    return [each.series.vendor_series for each in followed(LISTED, parse_follow(follow), now_ns)]


def test_the_next_ones_are_those_that_expire_next_whatever_the_order_of_the_list() -> None:
    assert names("next:3") == ["MM2M25", "MC2M25", "MM7M25"]
    assert names("all") == ["MM2M25", "MC2M25", "MM7M25", "MQ2M25", "NQM25"]


def test_what_has_expired_is_not_asked_for() -> None:
    expiry_ns = LISTED[3].series.expiry
    assert names("next:1", expiry_ns - 1) == ["MM2M25"]
    assert names("next:1", expiry_ns) == ["MC2M25"]
    assert names("MM2M25, MQ2M25", expiry_ns) == ["MQ2M25"]


def test_a_named_series_that_the_vendor_does_not_list_is_told_and_not_made_up() -> None:
    follow = parse_follow("MQ2M25,MQ9M25")
    assert names("MQ2M25,MQ9M25") == ["MQ2M25"]
    assert unlisted(LISTED, follow) == ("MQ9M25",)
    assert unlisted(LISTED, Follow(count=3)) == ()


@pytest.mark.parametrize("text", ["", "next:0", "next:x", "MC2M2025", "mc2m25", "MC2M25;MQ2M25"])
def test_what_cannot_be_followed_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be next:N, all, or the vendor's names"):
        parse_follow(text)
