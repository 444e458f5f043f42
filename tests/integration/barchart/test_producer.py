"""The producer at the simulated site: whatever goes wrong, a chain is right and labelled, or there is none."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest
from tests.integration.barchart.producer import ShiftedClock, Tape, producing, the_site
from tests.integration.barchart.steady_market import (
    EXPIRIES,
    FUTURE_PRICE,
    STRIKES,
    THURSDAY,
    UNDERLYING,
    WEDNESDAY,
    SteadyMarket,
    chicago_ns,
    quote_of,
)

from tapeline.feed.ledger import UsageLedger
from tapeline.model.chains import Chain
from tapeline_barchart.errors import KeyRefused
from tapeline_barchart.kept import KeptChains
from tapeline_simulator.barchart.on_demand import PREFIX
from tapeline_simulator.barchart.settings import SiteSettings
from tapeline_simulator.barchart.site import BarchartSite

FAULTS = (
    # fault, its parameters, what the event says of it, whether the answer is a dead letter
    ("session-expired", {"status": 401}, "the session is not accepted", False),
    ("session-expired", {"status": 403}, "answered 403", False),
    ("xsrf-rotated", {"status": 419}, "answered 419", False),
    ("waf", {"on": "chain", "status": 403}, "a challenge of the site's firewall", False),
    ("html-instead-of-json", {}, "a page instead of JSON", False),
    ("http-error", {"status": 429}, "answered 429", False),
    ("http-error", {"status": 503}, "answered 503", False),
    ("http-error", {"status": 404}, "answered 404", False),
    ("hang", {}, "no whole answer within 0.5 s", False),
    ("reset", {}, "the connection ended", False),
    ("truncated-json", {}, "cut off", False),
    ("empty-chain", {}, "EmptyChain", True),
    ("expired-chain", {}, "ExpiredChain", True),
    ("partial-chain", {"what": "side"}, "PartialChain", True),
    ("partial-chain", {"what": "strikes"}, "PartialChain", True),
    ("partial-chain", {"what": "total"}, "PartialChain", True),
    ("schema-drift", {"what": "renamed"}, "bidPrice", True),
    ("schema-drift", {"what": "type"}, "bidPrice", True),
    ("wrong-symbol", {}, "OtherSymbol", True),
)


def assert_is_the_market(chain: Chain) -> None:
    """Hold every contract against what the site's market shows."""
    assert (chain.underlying, chain.vendor_series, chain.expiry) == (UNDERLYING, WEDNESDAY, EXPIRIES[WEDNESDAY])
    assert chain.complete
    assert len(chain.contracts) == 2 * len(STRIKES)
    bids, asks = chain.contracts.integers("bid").tolist(), chain.contracts.integers("ask").tolist()
    for strike, is_call, bid, ask in zip(
        chain.contracts.strike.tolist(), chain.contracts.is_call.tolist(), bids, asks, strict=True
    ):
        quote = quote_of(strike // 10**9, is_call=is_call)
        assert (Decimal(bid) / 10**9, Decimal(ask) / 10**9) == (quote.bid, quote.ask)


async def test_every_fault_brings_the_labelled_fallback_and_never_a_wrong_chain(
    tape: Tape, state: Path, tmp_path: Path
) -> None:
    clock = ShiftedClock()
    async with (
        the_site(clock) as site,
        producing(tape, clock, tmp_path, site=site.url) as runner,
    ):
        for name, parameters, words, is_letter in FAULTS:
            live = [chain for chain in tape.chains if chain.mode == "live"]
            await tape.until(
                lambda live=live: len([c for c in tape.chains if c.mode == "live"]) > len(live) + 1,  # type: ignore[misc]
                f"a live chain before {name}",
            )
            failures, letters, kept = len(tape.failures()), len(tape.letters), len(tape.chains)
            site.faults.start(name, times=0, **parameters)
            await tape.until(
                lambda f=failures, w=words: any(w in event.reason for event in tape.failures()[f:]),  # type: ignore[misc]
                f"an event that says {words!r} of {name} {parameters}",
            )
            await tape.until(
                lambda k=kept: any(chain.mode == "cache" for chain in tape.chains[k:]),  # type: ignore[misc]
                f"the kept chain under {name}",
            )
            if is_letter:
                await tape.until(lambda n=letters: len(tape.letters) > n, f"a dead letter of {name}")  # type: ignore[misc]
            else:
                assert len(tape.letters) == letters, (name, parameters)
            site.faults.clear()
        await tape.until(lambda: tape.chains[-1].mode == "live", "a live chain in the end")
        assert runner.status()["ready"]
    fetched = {chain.fetched_at for chain in tape.chains if chain.mode == "live"}
    for chain in tape.chains:
        assert_is_the_market(chain)
        assert chain.mode in ("live", "cache")
        assert chain.fetched_at in fetched, "what is kept was live once, and keeps the time of that"
        assert chain.published_at >= chain.fetched_at
        assert chain.as_of == chain.fetched_at - 900 * 10**9
        assert chain.delay_s == 900.0
    assert set(tape.changes()) == {
        ("none", "barchart/live"),
        ("barchart/live", "barchart/cache"),
        ("barchart/cache", "barchart/live"),
    }
    for letter in tape.letters:
        assert letter.headers["service"] == "tapeline-barchart"
        assert letter.headers["error"]
        assert letter.headers["rule"]
    beats = [event for event in tape.events if event.type == "heartbeat"]
    assert {(event.stream, event.kind) for event in beats} == {("barchart/NQ", "chain")}
    assert 0 < sum(event.ticks or 0 for event in beats) <= len(tape.chains)


async def test_one_renewal_mends_what_a_renewal_can_mend(tape: Tape, state: Path, tmp_path: Path) -> None:
    clock = ShiftedClock()
    async with (
        the_site(clock) as site,
        producing(tape, clock, tmp_path, site=site.url),
    ):
        for name in ("session-expired", "xsrf-rotated"):
            await tape.until(lambda: bool(tape.chains), "a live chain")
            pages = sum(request.kind == "page" for request in site.requests)
            site.faults.start(name)
            await tape.until(
                lambda p=pages: sum(r.kind == "page" for r in site.requests) > p,  # type: ignore[misc]
                f"a new session after {name}",
            )
            count = len(tape.chains)
            await tape.until(lambda c=count: len(tape.chains) > c + 1, "more live chains")  # type: ignore[misc]
    assert tape.failures() == []
    assert tape.changes() == [("none", "barchart/live")]


async def test_the_breaker_opens_after_a_renewed_session_is_refused_and_nothing_is_called_meanwhile(
    tape: Tape, state: Path, tmp_path: Path
) -> None:
    clock = ShiftedClock()
    async with the_site(clock) as site:
        async with producing(tape, clock, tmp_path, site=site.url, breaker_open_s=3_600.0):
            await tape.until(lambda: bool(tape.chains), "a live chain")
            site.faults.start("session-expired", times=0)
            await tape.until(lambda: tape.changes()[-1:] == [("barchart/live", "barchart/cache")], "the kept chain")
            called = len(site.requests)
        # A new start keeps to it as well, and has the kept chain at once.
        async with producing(tape, clock, tmp_path, site=site.url, breaker_open_s=3_600.0):
            await tape.until(lambda: ("none", "barchart/cache") in tape.changes(), "the kept chain after a new start")
            await tape.until(lambda: "is not called for another" in tape.failures()[-1].reason, "why it is not live")
        assert len(site.requests) == called
    kinds = [(request.kind, request.status) for request in site.requests][-3:]
    assert kinds == [("chain", 401), ("page", 200), ("chain", 401)]
    assert tape.chains[-1].mode == "cache"
    assert_is_the_market(tape.chains[-1])


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_a_site_that_says_for_how_long_it_wants_quiet_gets_it(
    tape: Tape, state: Path, tmp_path: Path, form: str
) -> None:
    clock = ShiftedClock()
    async with (
        the_site(clock) as site,
        producing(tape, clock, tmp_path, site=site.url),
    ):
        await tape.until(lambda: bool(tape.chains), "a live chain")
        site.faults.start("http-error", status=429, retry_after=form, seconds=3)
        await tape.until(
            lambda: 429 in [r.status for r in site.requests] and site.requests[-1].status == 200,
            "a call after the quiet",
        )
    refused = next(index for index, request in enumerate(site.requests) if request.status == 429)
    refusal, after = list(site.requests)[refused : refused + 2]
    # A date has no fractions of a second.
    assert after.at_ns - refusal.at_ns >= (3.0 if form == "seconds" else 2.0) * 1e9


async def test_what_is_too_old_for_the_policy_is_not_published_and_that_is_said(
    tape: Tape, state: Path, tmp_path: Path
) -> None:
    clock = ShiftedClock()
    async with the_site(clock) as site:
        policy = "*=live, cache:902"
        async with producing(tape, clock, tmp_path, site=site.url, policy=policy) as runner:
            await tape.until(lambda: bool(tape.chains), "a live chain")
            site.faults.start("http-error", status=503, times=0)
            await tape.until(lambda: ("barchart/cache", "none") in tape.changes(), "that nothing is left")
            assert not runner.status()["ready"]
            events = len(tape.events)
            await tape.until(lambda: len(tape.events) > events + 2, "more events")
            assert tape.changes()[-1:] == [("barchart/cache", "none")]
    assert any("the policy allows 902 s" in event.reason for event in tape.failures())
    assert max(chain.age_s for chain in tape.chains) < 902.5


async def test_a_new_start_within_the_cache_s_time_asks_for_nothing(tape: Tape, state: Path, tmp_path: Path) -> None:
    clock = ShiftedClock()
    settings: dict[str, object] = {
        "cache_s": 300.0,
        "poll_s": 60.0,
        "ask_underlying": True,
        "series": "next:2",
        "count_usage": True,
    }
    async with the_site(clock) as site:
        async with producing(tape, clock, tmp_path, site=site.url, **settings):
            await tape.until(lambda: len(tape.chains) == 2, "both chains")
        called = [(request.kind, request.status) for request in site.requests]
        assert called == [("page", 200), ("chain", 200), ("quote", 200), ("chain", 200)]
        async with producing(tape, clock, tmp_path, site=site.url, **settings):
            await tape.until(lambda: len(tape.chains) == 4, "both chains again")
        assert len(site.requests) == len(called)
    assert [chain.mode for chain in tape.chains].count("live") == 2
    by_series = {chain.vendor_series: chain for chain in tape.chains if chain.mode == "cache"}
    assert set(by_series) == {WEDNESDAY, THURSDAY}
    for chain in by_series.values():
        assert chain.underlying_price is not None
        assert Decimal(chain.underlying_price.value) / 10**9 == FUTURE_PRICE
    assert tape.failures() == []
    (usage,) = UsageLedger(state / "usage.sqlite3").usages()
    assert (usage.line, usage.requests, usage.cache_hits, usage.cache_misses) == ("flat", 4, 2, 2)
    assert usage.schemas["barchart/option-chain"].bytes > 10_000


async def test_no_list_means_no_guessed_series(tape: Tape, state: Path, tmp_path: Path) -> None:
    clock = ShiftedClock()
    async with the_site(clock) as site:
        site.faults.start("waf", on="page", times=0)
        async with producing(tape, clock, tmp_path, site=site.url) as runner:
            await tape.until(lambda: bool(tape.failures()), "that the list failed")
            assert not runner.status()["ready"]
            assert all(request.kind == "page" for request in site.requests)
            site.faults.clear()
            await tape.until(lambda: bool(tape.chains), "a chain once the page is there")
    assert tape.failures()[0].stream == "barchart/NQ"
    assert "firewall" in tape.failures()[0].reason
    await asyncio.sleep(0)


async def test_a_saved_answer_stands_in_where_nothing_newer_is_to_be_had_and_says_that_it_is_saved(
    tape: Tape, state: Path, tmp_path: Path
) -> None:
    clock = ShiftedClock()
    saved = tmp_path / "captures" / "20250610"
    saved.mkdir(parents=True)
    settings: dict[str, object] = {
        "policy": "*=live, saved",
        "saved_folder": tmp_path / "captures",
        "saved_time_zone": "America/Chicago",
    }
    async with the_site(clock) as site, producing(tape, clock, tmp_path, site=site.url, **settings):
        await tape.until(lambda: bool(tape.chains), "a live chain")
        answer = KeptChains(state / "barchart" / "kept").get(WEDNESDAY)
        assert answer is not None
        (saved / f"barchart_api_{WEDNESDAY}_083000.json").write_bytes(answer.payload)
        site.faults.start("empty-chain", times=0)
        await tape.until(lambda: tape.changes()[-1:] == [("barchart/live", "barchart/saved")], "the saved chain")
        site.faults.clear()
        await tape.until(lambda: tape.changes()[-1:] == [("barchart/saved", "barchart/live")], "a live chain again")
    (chain,) = [chain for chain in tape.chains if chain.mode != "live"]
    assert (chain.mode, chain.fetched_at) == ("saved", chicago_ns(2025, 6, 10, 8, 30))
    assert chain.age_s > 2_700, "it is of half an hour before, and fifteen minutes were late already"
    assert_is_the_market(chain)
    assert b"EmptyChain" in b"".join(tape.raw)


KEY = "k-7e5a0c31-never-to-be-seen"


async def test_the_licensed_way_asks_by_its_key_which_nobody_sees(
    tape: Tape, state: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    clock = ShiftedClock()
    async with BarchartSite(
        SteadyMarket(clock), settings=SiteSettings(keys=frozenset({KEY}), calls_per_minute=100_000), clock_ns=clock
    ) as site:
        settings: dict[str, object] = {
            "authentication": "on-demand",
            "on_demand": site.url + PREFIX,
            "on_demand_key": KEY,
            "ask_underlying": True,
        }
        async with producing(tape, clock, tmp_path, **settings):
            await tape.until(lambda: bool(tape.chains), "a live chain")
            site.faults.start("http-error", on="on-demand", status=500, times=0)
            await tape.until(lambda: tape.changes()[-1:] == [("barchart/live", "barchart/cache")], "the kept chain")
        count = len(site.requests)
        site.faults.clear()
        # A key that is not accepted: what is kept goes on, and the key is tried once.
        async with producing(tape, clock, tmp_path, **{**settings, "on_demand_key": KEY + "-wrong"}):
            await tape.until(
                lambda: any("does not accept the key" in event.reason for event in tape.failures()), "the refusal"
            )
            failures = len(tape.failures())
            await tape.until(lambda: len(tape.failures()) > failures + 2, "more failures")
        assert [request.status for request in site.requests][count:] == [401]
    for chain in tape.chains:
        assert chain.complete is None, "the licensed API never says how many there are"
        assert chain.contracts.strike.tolist() == [strike * 10**9 for _ in range(2) for strike in STRIKES]
    assert tape.chains[0].underlying_price is not None
    assert {chain.mode for chain in tape.chains} == {"live", "cache"}
    said = capfd.readouterr()
    assert KEY.encode() not in b"".join(tape.raw) + (said.out + said.err).encode()


async def test_a_refused_key_with_nothing_kept_ends_the_producer_with_a_clear_error(
    tape: Tape, state: Path, tmp_path: Path
) -> None:
    clock = ShiftedClock()
    async with the_site(clock) as site:
        with pytest.raises(KeyRefused, match="TAPELINE_BARCHART_ON_DEMAND_KEY"):
            async with producing(
                tape, clock, tmp_path, authentication="on-demand", on_demand=site.url + PREFIX, on_demand_key="wrong"
            ):
                await tape.until(lambda: bool(tape.failures()), "the failure")
    assert [request.status for request in site.requests] == [401]
    assert tape.chains == []


async def test_headers_alone_are_enough_where_the_site_takes_them(tape: Tape, state: Path, tmp_path: Path) -> None:
    clock = ShiftedClock()
    async with (
        BarchartSite(SteadyMarket(clock), settings=SiteSettings(auth="b"), clock_ns=clock) as site,
        producing(tape, clock, tmp_path, site=site.url, authentication="headers", cache_s=60.0),
    ):
        await tape.until(lambda: bool(tape.chains), "a live chain")
        assert [request.kind for request in site.requests] == ["page", "chain"]
    assert_is_the_market(tape.chains[0])


async def test_a_series_that_expires_is_left_and_the_next_of_the_vendor_s_list_is_followed(
    tape: Tape, state: Path, tmp_path: Path
) -> None:
    clock = ShiftedClock(EXPIRIES[WEDNESDAY] - 3 * 10**9)
    async with (
        the_site(clock) as site,
        producing(tape, clock, tmp_path, site=site.url, series="next:1"),
    ):
        await tape.until(lambda: any(chain.vendor_series == THURSDAY for chain in tape.chains), "the next series")
        assert [request.kind for request in site.requests].count("page") == 2, "the list is read anew"
    ended = [event for event in tape.events if event.now == "none"]
    assert [(event.stream, event.was) for event in ended] == [(f"barchart/{WEDNESDAY}", "barchart/live")]
    assert "has expired" in ended[0].reason
    assert all(chain.published_at < chain.expiry for chain in tape.chains)
    assert tape.chains[0].vendor_series == WEDNESDAY
