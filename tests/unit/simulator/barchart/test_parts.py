"""The bucket, sessions and their tokens, faults and what they do to a chain, and a market of a while ago."""

from __future__ import annotations

import base64
import itertools
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import pytest
from tests.unit.simulator.barchart.showing import ROWS, SECOND, START, StandingMarket, StandingView

from tapeline.errors import BadData
from tapeline_simulator.barchart.bucket import LeakyBucket
from tapeline_simulator.barchart.delayed import DelayedMarket
from tapeline_simulator.barchart.distortions import distort, rows_under, view_under
from tapeline_simulator.barchart.faults import FAULT_NAMES, SiteFaults
from tapeline_simulator.barchart.payload import Question, chain_answer
from tapeline_simulator.barchart.sessions import XSRF_COOKIE, Sessions


def test_the_bucket_takes_a_minutes_calls_at_once_and_then_what_leaks_out() -> None:
    bucket = LeakyBucket(60)
    assert [bucket.wait_s(100.0) for _ in range(60)] == [0.0] * 60
    assert bucket.wait_s(100.0) == pytest.approx(1.0)
    assert bucket.wait_s(100.5) == pytest.approx(0.5)
    assert bucket.wait_s(101.0) == 0.0
    assert bucket.wait_s(101.0) > 0
    assert [bucket.wait_s(104.0) for _ in range(3)] == [0.0] * 3
    assert bucket.wait_s(104.0) > 0


def test_a_token_is_percent_encoded_and_changes_with_every_answer() -> None:
    numbers = itertools.count()
    sessions = Sessions(lambda length: next(numbers).to_bytes(4, "big").rjust(length, b"x"))
    session = sessions.open()
    told = [sessions.cookies(session)[XSRF_COOKIE] for _ in range(3)]
    assert len(set(told)) == 3
    for text in told:
        assert text.endswith("%3D")
        assert not text.endswith("%3D%3D")
        assert set(base64.b64decode(unquote(text), validate=True)) > set(b'{"iv":')
    assert [session.accepts(unquote(text)) for text in told] == [False, True, True]
    assert not session.accepts(told[2]), "as it is in the cookie"
    assert not session.accepts("")
    sessions.rotate(session)
    assert not session.accepts(unquote(told[2]))


def test_a_session_is_found_by_its_cookie_until_it_ends() -> None:
    sessions = Sessions(lambda length: b"y" * length)
    session = sessions.open()
    cookies = sessions.cookies(session)
    assert sessions.find(cookies) is session
    sessions.end(session)
    assert sessions.find(cookies) is None
    assert sessions.find({}) is None


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("fire", {}, "name: must be one of session-expired, xsrf-rotated"),
        ("hang", {"seconds": 1}, "seconds: is no parameter of hang, which takes times, after, on"),
        ("hang", {"times": -1}, "times: must be a whole number from 0 on, is -1"),
        ("hang", {"times": True}, "times: must be a whole number from 0 on, is True"),
        (
            "hang",
            {"on": "nothing"},
            "on: must be one of page, chain, quote, login-form, login, on-demand, all, is 'nothing'",
        ),
        ("http-error", {"status": 200}, "status: must be one of 400 to 599, is 200"),
        ("http-error", {"retry_after": "soon"}, "retry_after: must be one of seconds, date, none, is 'soon'"),
        ("partial-chain", {"what": "all"}, "what: must be one of side, strikes, total, is 'all'"),
        ("reset", {"share": 2}, "share: must be within 0 and 1, is 2"),
        ("schema-drift", {"field": 5}, "field: must be text, is 5"),
    ],
)
async def test_a_fault_that_cannot_be_is_refused_in_words(name: str, parameters: dict[str, Any], said: str) -> None:
    faults = SiteFaults(StandingMarket().view)
    with pytest.raises(BadData) as refused:
        faults.start(name, **parameters)
    assert str(refused.value).startswith(said)
    assert faults.active() == []


async def test_a_fault_happens_to_as_many_requests_as_it_was_asked_for() -> None:
    faults = SiteFaults(StandingMarket().view)
    first = faults.start("empty-chain", times=2, after=1)
    other = faults.start("stale")
    taken = [faults.take("chain", at_the_door=False) for _ in range(5)]
    assert taken == [other, first, first, None, None]
    for_ever = faults.start("http-error", times=0, on="all")
    assert faults.take("page", at_the_door=False) is None
    assert {faults.take(kind, at_the_door=True) for kind in ("page", "quote", "login")} == {for_ever}
    faults.clear()
    assert faults.take("page", at_the_door=True) is None


async def test_every_fault_can_be_asked_for_by_its_name_alone() -> None:
    faults = SiteFaults(StandingMarket().view)
    assert [faults.start(name).describe()["name"] for name in FAULT_NAMES] == list(FAULT_NAMES)
    assert {each.times for each in faults.active()} == {1}


def under(name: str, **parameters: Any) -> dict[str, Any]:
    """Return the answer about a chain under a fault."""
    view = StandingView({"MC9X26": ROWS, "MM4X26": ROWS[:2]})
    fault = SiteFaults(lambda: view).start(name, **parameters)
    shown = rows_under(fault, view_under(fault, view), "MC9X26")
    return distort(fault, chain_answer(shown, Question(with_raw=True, group_by="optionType")), len(ROWS))


async def test_partial_chains_lack_a_side_or_strikes_or_rows_that_are_counted() -> None:
    side = under("partial-chain", what="side")
    assert (side["count"], side["total"], list(side["data"])) == (1, 2, ["Call"])
    strikes = under("partial-chain", what="strikes")
    assert strikes["total"] == 3
    assert {name: len(rows) for name, rows in strikes["data"].items()} == {"Call": 1, "Put": 2}
    short = under("partial-chain", what="total")
    assert short["total"] == 4
    assert sum(len(rows) for rows in short["data"].values()) == 3


async def test_an_expired_chain_has_no_quotes_and_settles_off_the_grid() -> None:
    rows = [row for group in under("expired-chain")["data"].values() for row in group]
    assert {(row["bidPrice"], row["askPrice"]) for row in rows} == {("N/A", "N/A")}
    call = rows[0]
    assert (call["lastPrice"], call["premium"], call["tradeTime"]) == ("50.38s", "1,007.60", "11/23/26")
    assert call["raw"]["lastPrice"] == 50.38
    assert Decimal("50.38") % Decimal("0.05")


async def test_a_schema_drifts_in_four_ways() -> None:
    renamed = under("schema-drift")["data"]["Call"][0]
    assert "bidPrice" not in renamed
    assert (renamed["bidPriceNew"], renamed["raw"]["bidPriceNew"]) == ("486.25", 486.25)
    missing = under("schema-drift", what="missing", field="strike")["data"]["Call"][0]
    assert "strike" not in {*missing, *missing["raw"]}
    extra = under("schema-drift", what="extra")["data"]["Call"][0]
    assert (extra["bidSize"], extra["raw"]["bidSize"]) == ("5", 5)
    flipped = under("schema-drift", what="type")["data"]["Call"][0]
    assert (flipped["bidPrice"], flipped["raw"]["bidPrice"]) == (486.25, "486.25")


async def test_wrong_empty_and_stale_chains() -> None:
    assert under("wrong-symbol")["total"] == 2
    assert under("empty-chain")["data"] == []
    market = StandingMarket()
    fault = SiteFaults(market.view).start("stale")
    before, market.shown = market.shown, StandingView({}, START + SECOND)
    assert view_under(fault, market.view()) is before
    assert view_under(None, market.view()) is market.shown


def test_a_delayed_market_is_as_old_as_it_should_be() -> None:
    market = StandingMarket(StandingView({}, START))
    delayed = DelayedMarket(market, delay_s=60.0)
    ages = []
    for tenth in range(1, 3_000):
        market.shown = StandingView({}, START + tenth * SECOND // 10)
        delayed.keep()
        ages.append((market.shown.at_ns - delayed.view().at_ns) / SECOND)
    assert ages[:600] == [pytest.approx((tenth + 1) / 10) for tenth in range(600)], "its beginning"
    assert min(ages[600:]) >= 60.0
    assert max(ages[600:]) <= 61.1
