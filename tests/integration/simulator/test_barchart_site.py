"""Barchart's simulated site as plain clients see it: session, tokens, pages, limits, OnDemand, and what goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote

import aiohttp
import orjson
import pytest
from tests.integration.simulator.live import eventually
from tests.unit.simulator.barchart.showing import START, StandingMarket

from tapeline.feed.barchart.page import parse_page
from tapeline_simulator.barchart.pages import CORE_API
from tapeline_simulator.barchart.settings import SiteSettings
from tapeline_simulator.barchart.site import BarchartSite

QUOTES = "/futures/quotes/NQZ26/options/MC9X26?futuresOptionsView=merged"
CHAIN = {"symbol": "MC9X26", "list": "futures.options", "groupBy": "optionType", "raw": "1"}
EMAIL, PASSWORD, KEY = "me@example.com", "correct", "good-key"
DEADLINE_S = 30


class Visitor:
    """A client with a jar of cookies, which reads the token anew for every call, as it must."""

    def __init__(self, site: BarchartSite, session: aiohttp.ClientSession) -> None:
        self.site = site
        self.session = session

    async def get(self, path: str, **options: Any) -> tuple[int, bytes, aiohttp.ClientResponse]:
        async with self.session.get(self.site.url + path, **options) as response:
            return response.status, await response.read(), response

    def cookie(self, name: str) -> str:
        return next((cookie.value for cookie in self.session.cookie_jar if cookie.key == name), "")

    async def chain(self, token: str | None = None, **asked: str) -> tuple[int, bytes, aiohttp.ClientResponse]:
        sent = unquote(self.cookie("XSRF-TOKEN")) if token is None else token
        return await self.get(CORE_API, params={**CHAIN, **asked}, headers={"x-xsrf-token": sent})


@contextlib.asynccontextmanager
async def visiting(market: StandingMarket | None = None, **settings: Any) -> AsyncIterator[Visitor]:
    asked = {"accounts": {EMAIL: PASSWORD}, "keys": frozenset([KEY]), **settings}
    timeout = aiohttp.ClientTimeout(total=DEADLINE_S)
    async with (
        BarchartSite(market or StandingMarket(), settings=SiteSettings(**asked)) as site,
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), timeout=timeout) as session,
    ):
        yield Visitor(site, session)


async def test_a_page_gives_what_a_call_needs_and_every_answer_a_new_token() -> None:
    async with visiting() as visitor:
        assert (await visitor.chain())[0] == 401
        status, html, _ = await visitor.get(QUOTES)
        assert status == 200
        first = visitor.cookie("XSRF-TOKEN")
        assert visitor.cookie("laravel_session")
        assert visitor.cookie("laravel_token")
        assert visitor.cookie("market")
        assert first.endswith("%3D")
        page = parse_page(html.decode(), START)
        status, body, response = await visitor.chain()
        assert (status, response.content_type) == (200, "application/json")
        answer = orjson.loads(body)
        assert (answer["count"], answer["total"]) == (2, 4)
        second = visitor.cookie("XSRF-TOKEN")
        assert second != first
        assert (await visitor.chain(token=first))[0] == 419, "as it is in the cookie, encoded"
        assert (await visitor.chain(token=unquote(first)))[0] == 200, "the token before the newest"
        assert (await visitor.chain(token=unquote(first)))[0] == 419, "a token that was kept"
        by_meta = await visitor.get(CORE_API, params=CHAIN, headers={"x-csrf-token": page.csrf_token or ""})
        assert by_meta[0] == 200
        visitor.session.cookie_jar.clear()
        assert (await visitor.chain(token=unquote(second)))[0] == 401
        assert [(each.kind, each.status) for each in visitor.site.requests] == [
            ("chain", 401),
            ("page", 200),
            *(("chain", status) for status in (200, 419, 200, 419, 200, 401)),
        ]
        times = [each.at_ns for each in visitor.site.requests]
        assert times == sorted(times)


async def test_a_page_says_which_series_there_are_and_how_old_its_prices_may_be() -> None:
    async with visiting() as visitor:
        _, html, _ = await visitor.get(QUOTES)
        page = parse_page(html.decode(), START)
        assert (page.current_series, page.vendor_underlying, page.point_value) == ("MC9X26", "NQZ26", 20 * 10**9)
        assert page.unresolved == ()
        assert [each.series.vendor_series for each in page.series] == ["MC9X26", "MM4X26"]
        assert page.series[0].path == "/futures/quotes/NQZ26/options/MC9X26"
        assert b"delayed at least 15 minutes" in html
        assert b"0 Days</strong> to expiration on <strong>11/23/26" in html
        assert b">Log In<" in html
        assert (await visitor.get("/futures/quotes/ESZ26/options"))[0] == 404
        assert b"no option data" in (await visitor.get("/futures/quotes/NQZ26/options/MC1M25"))[1]
    async with visiting(delay_s=600.0, csrf_late_ms=50) as visitor:
        _, html, _ = await visitor.get(QUOTES)
        assert b"delayed at least 10 minutes" in html
        assert parse_page(html.decode(), START).csrf_token is None, "a script adds it"


async def test_login_leads_away_from_the_form_only_with_the_right_words() -> None:
    async with visiting() as visitor:

        async def log_in(password: str, token: str | None = None) -> aiohttp.ClientResponse:
            _, html, _ = await visitor.get("/login")
            page = parse_page(html.decode(), START)
            form = {"email": EMAIL, "password": password, "_token": page.login_token if token is None else token}
            async with visitor.session.post(visitor.site.url + "/login", data=form) as response:
                await response.read()
                return response

        assert (await log_in("wrong")).url.path == "/login"
        assert b"incorrect" in (await visitor.get("/login"))[1]
        assert (await log_in(PASSWORD, token="of another form")).status == 419  # noqa: S106
        before = visitor.cookie("laravel_session")
        response = await log_in(PASSWORD)
        assert (response.status, response.url.path) == (200, "/")
        assert visitor.cookie("laravel_session") != before
        assert b">Log Out<" in (await visitor.get(QUOTES))[1]
        assert (await visitor.chain())[0] == 200
        await visitor.get("/logout")
        assert b">Log In<" in (await visitor.get(QUOTES))[1]
        visitor.site.faults.start("login-rejected")
        assert (await log_in(PASSWORD)).url.path == "/login"
        assert (await log_in(PASSWORD)).url.path == "/"
        assert PASSWORD not in repr(list(visitor.site.requests))


async def test_without_cookies_a_header_is_enough_where_the_site_asks_for_no_more() -> None:
    async with visiting(auth="b") as visitor:
        assert (await visitor.chain())[0] == 403
        status, _, _ = await visitor.get(CORE_API, params=CHAIN, headers={"sec-fetch-site": "same-origin"})
        assert status == 200


@pytest.mark.parametrize("form", ["seconds", "date", "none"])
async def test_more_calls_than_the_bucket_holds_are_refused(form: str) -> None:
    async with visiting(calls_per_minute=3.0, retry_after=form) as visitor:
        await visitor.get(QUOTES)
        statuses = [(await visitor.chain())[0] for _ in range(3)]
        status, _, response = await visitor.chain()
        assert [*statuses, status] == [200, 200, 200, 429]
        told = response.headers.get("Retry-After")
        if form == "seconds":
            assert 1 <= int(told or 0) <= 20
        elif form == "date":
            assert parsedate_to_datetime(told or "") is not None
        else:
            assert told is None
        assert sum(each.status == 200 for each in visitor.site.requests if each.kind == "chain") == 3


async def test_an_expired_session_stays_so_until_a_page_begins_another() -> None:
    async with visiting() as visitor:
        await visitor.get(QUOTES)
        visitor.site.faults.start("session-expired", status=403)
        assert (await visitor.chain())[0] == 403
        assert (await visitor.chain())[0] == 401
        await visitor.get(QUOTES)
        assert (await visitor.chain())[0] == 200


async def test_a_rotated_token_is_mended_by_that_of_the_refusal() -> None:
    async with visiting() as visitor:
        await visitor.get(QUOTES)
        before = unquote(visitor.cookie("XSRF-TOKEN"))
        visitor.site.faults.start("xsrf-rotated")
        assert (await visitor.chain())[0] == 419
        assert (await visitor.chain(token=before))[0] == 419
        assert (await visitor.chain())[0] == 200


async def test_answers_may_be_errors_challenges_or_pages() -> None:
    async with visiting() as visitor:
        await visitor.get(QUOTES)
        faults = visitor.site.faults
        faults.start("http-error", status=503, retry_after="seconds", seconds=7)
        status, _, response = await visitor.chain()
        assert (status, response.headers["Retry-After"]) == (503, "7")
        faults.start("html-instead-of-json")
        status, body, response = await visitor.chain()
        assert (status, response.content_type, body[:9]) == (200, "text/html", b"<!DOCTYPE")
        faults.start("waf", status=403, on="all")
        status, body, _ = await visitor.chain()
        assert (status, b"not a robot" in body, b"csrf-token" in body) == (403, True, False)
        faults.start("waf")
        assert b"not a robot" in (await visitor.get(QUOTES))[1]
        assert (await visitor.chain())[0] == 200
        faults.start("truncated-json")
        status, body, response = await visitor.chain()
        assert (status, response.content_length) == (200, len(body))
        with pytest.raises(orjson.JSONDecodeError):
            orjson.loads(body)
        faults.start("schema-drift", what="missing", field="strike")
        assert b'"strike"' not in (await visitor.chain())[1]
        assert b'"strike"' in (await visitor.chain())[1]


async def test_a_connection_may_be_reset_or_never_answered() -> None:
    async with visiting() as visitor:
        await visitor.get(QUOTES)
        visitor.site.faults.start("reset")
        with pytest.raises(aiohttp.ClientError):
            await visitor.chain()
        visitor.site.faults.start("hang", on="page")
        asking = asyncio.create_task(visitor.get(QUOTES))
        await eventually(lambda: visitor.site.requests[-1].status == 0)
        assert not asking.done()
        visitor.site.faults.clear()
        assert (await asking)[0] == 200, "the client library asks once more by itself"
        assert [each.status for each in visitor.site.requests if each.kind == "page"] == [200, 0, 200]


async def test_the_site_ends_while_it_owes_answers() -> None:
    async with visiting() as visitor:
        visitor.site.faults.start("hang", on="page")
        asking = [asyncio.create_task(visitor.get(path)) for path in (QUOTES, "/pulse")]
        await eventually(lambda: len(visitor.site.requests) > 0)
    results = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(result, aiohttp.ClientError) for result in results)


async def test_futures_are_quoted_too() -> None:
    async with visiting() as visitor:
        await visitor.get(QUOTES)
        token = unquote(visitor.cookie("XSRF-TOKEN"))
        asked = {"symbols": "NQZ26,ESZ26", "fields": "symbol,lastPrice", "raw": "1"}
        _, body, _ = await visitor.get(CORE_API, params=asked, headers={"x-xsrf-token": token})
        assert orjson.loads(body)["data"] == [
            {"symbol": "NQZ26", "lastPrice": "25,050.25", "raw": {"symbol": "NQZ26", "lastPrice": 25_050.25}}
        ]
        assert visitor.site.requests[-1].kind == "quote"


async def test_on_demand_answers_in_its_envelope_to_who_has_a_key() -> None:
    async with visiting(calls_per_minute=6.0) as visitor:

        async def ask(method: str, **asked: str) -> tuple[int, dict[str, Any]]:
            status, body, _ = await visitor.get(f"/ondemand/{method}.json", params=asked)
            return status, orjson.loads(body)

        status, refused = await ask("getFuturesOptions", contract="MC9X26", apikey="bad")
        assert (status, refused["status"]["code"], refused["results"]) == (401, 401, None)
        status, told = await ask(
            "getFuturesOptions", contract="MC9X26", apikey=KEY, fields="bid,ask,openInterest", maxRecords="3"
        )
        assert (status, told["status"]) == (200, {"code": 200, "message": "Success."})
        row = told["results"][0]
        assert len(told["results"]) == 3
        assert (row["symbol"], row["strike"], row["type"], row["expirationDate"]) == (
            "MC9X6|25000C",
            25_000,
            "Call",
            "2026-11-23",
        )
        assert (row["bid"], row["ask"], row["last"], row["open"], row["openInterest"]) == (
            486.25,
            499,
            486.75,
            "480.00",
            2,
        )
        _, puts = await ask("getFuturesOptions", root="NQ", type="Put", apikey=KEY)
        assert {row["type"] for row in puts["results"]} == {"Put"}
        status, empty = await ask("getFuturesOptions", contract="MC1M25", apikey=KEY)
        assert (status, empty["status"]["code"], empty["results"]) == (200, 204, None)
        _, quote = await ask("getQuote", symbols="NQZ6", apikey=KEY)
        assert (quote["results"][0]["lastPrice"], quote["results"][0]["mode"]) == (25_050.25, "d")
        statuses = [(await ask("getQuote", symbols="NQZ6", apikey=KEY))[0] for _ in range(3)]
        assert statuses == [200, 200, 429]
        assert KEY not in repr(list(visitor.site.requests))
