"""The producer's process, logged in by a real Chromium: whatever fails, labelled chains, captures, and no secret."""

from __future__ import annotations

import asyncio
import json
import re
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.integration.barchart.producer import QUICK, Tape
from tests.integration.barchart.service import Service, messages_of_all_topics

from tapeline.model.chains import NULL, Chain
from tapeline.model.events import FeedEvent
from tapeline_barchart.captures import PAGE, RESPONSE, SCREENSHOT
from tapeline_simulator.barchart.settings import SiteSettings
from tapeline_simulator.barchart.site import BarchartSite
from tapeline_simulator.barchart.synthetic import synthetic_venue
from tapeline_simulator.barchart.venue_market import VenueMarket, VenueMarketView
from tapeline_simulator.venue import OptionSettings

SECOND = 10**9
EMAIL, PASSWORD = "nobodyEverSeesMe+nq@example.com", 'Pa55 & "n3verToBeSeen" <1%>'
KEY = "k7e5a0c31neverToBeSeen"
FAULTS: tuple[tuple[str, dict[str, Any], str], ...] = (
    # what goes wrong with every chain once the session is over, and what the event says of it
    ("session-expired", {"status": 401}, "answered 401"),
    ("xsrf-rotated", {"status": 419}, "answered 419"),
    ("waf", {"on": "chain", "status": 403}, "challenge"),
    ("html-instead-of-json", {}, "a page instead of JSON"),
    ("reset", {}, "is not whole"),
)
PIECE = re.compile(r"[A-Za-z0-9]{12,32}")
"""What no way of escaping changes, and short enough to be found where a text was cut."""


class FrozenMarket:
    """A market with this instant's names and expiries, in which nothing moves any more."""

    def __init__(self) -> None:
        began_ns = time.time_ns()
        # An expiry or two may be about to pass.
        venue = synthetic_venue(start_ns=began_ns - 2 * SECOND, options=OptionSettings(expiries=3, trades_per_s=50.0))
        venue.advance(began_ns)
        self._view = VenueMarket(venue).view()
        self.series = self._view.series[1]

    def view(self) -> VenueMarketView:
        return self._view

    def assert_is_shown(self, chain: Chain) -> None:
        """Hold every contract of a chain against what the site's market shows."""
        rows = self._view.rows(self.series.symbol)
        assert (chain.vendor_series, chain.expiry) == (self.series.symbol, self.series.expires_ns)
        assert chain.contracts.strike.tolist() == [row.strike_points * SECOND for row in rows]
        assert chain.contracts.is_call.tolist() == [row.is_call for row in rows]
        for name in ("bid", "ask", "last"):
            shown = [getattr(row.quote, name) for row in rows]
            expected = [NULL if price is None else int(price.scaleb(9)) for price in shown]
            assert chain.contracts.integers(name).tolist() == expected, name


@dataclass
class Scene:
    """The site over the market, the producer's tape, state and log, and all that its health endpoint has said."""

    site: BarchartSite
    market: FrozenMarket
    tape: Tape
    state: Path
    start: Callable[..., Service]
    service: Service | None = None
    said: str = ""

    def begin(self, **settings: object) -> Service:
        self.service = self.start({"site": self.site.url, "series": self.market.series.symbol, **settings})
        return self.service

    def listen(self) -> None:
        """Take in what the health endpoint says."""
        assert self.service is not None
        self.said += self.service.get("/metrics") + self.service.get("/readyz")

    def captured(self, event: FeedEvent) -> dict[str, bytes]:
        """Return the files that an event names, by what they are."""
        folder = self.state / "barchart" / "captures"
        return {Path(name).name: (folder / name).read_bytes() for name in event.captures}

    def places(self) -> Iterator[tuple[str, bytes]]:
        """Yield all that others may read: files, log, messages, health; the kept session is its owner's alone."""
        sessions = self.state / "barchart" / "browser"
        for path in self.state.rglob("*"):
            if path.is_file() and path.parent != sessions:
                yield str(path), path.read_bytes()
        assert self.service is not None
        yield "the log", self.service.log().encode()
        yield "the health endpoint", self.said.encode()
        yield from messages_of_all_topics(self.tape.servers)

    def secrets(self) -> set[str]:
        """Return what must be found nowhere."""
        told = {EMAIL.partition("@")[0], PASSWORD, KEY} | self.site.given
        assert all(PIECE.search(secret) for secret in told)
        return {piece for secret in told for piece in PIECE.findall(secret)}


@pytest.fixture
def start(bootstrap_servers: str, chromium: Path, tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start the producer with login and these settings; whatever still runs at the end is killed."""
    services: list[Service] = []
    password = tmp_path / "password"
    password.write_text(PASSWORD)

    def begin(settings: dict[str, object]) -> Service:
        usual = {
            **QUICK,
            "authentication": "login",
            "email": EMAIL,
            "password_file": password,
            "on_demand_key": KEY,
            "chromium_path": chromium,
            "dataset": "TAPELINE.SIM",  # whose market never closes, whatever day the tests run
            "poll_s": 0.2,
            "retry_s": 0.2,
            "timeout_s": 10.0,
        }
        services.append(Service(tmp_path / f"producer-{len(services)}.log", bootstrap_servers, usual | settings))
        return services[-1]

    yield begin
    for service in services:
        service.kill()


async def test_every_failure_in_the_browser_is_told_with_captures_beside_the_kept_chain_and_no_secret_gets_out(
    tape: Tape, state: Path, start: Callable[..., Service]
) -> None:
    market = FrozenMarket()
    settings = SiteSettings(accounts={EMAIL: PASSWORD}, calls_per_minute=100_000)
    async with BarchartSite(market, settings=settings) as site:
        scene = Scene(site, market, tape, state, start)
        service = scene.begin()
        for name, parameters, words in FAULTS:
            count = len(tape.chains)
            await tape.until(
                lambda n=count: len(tape.chains) > n and tape.chains[-1].mode == "live", f"live before {name}"
            )  # type: ignore[misc]
            failures, count = len(tape.failures()), len(tape.chains)
            site.faults.start("session-expired")
            site.faults.start(name, **{"on": "chain", **parameters}, times=0)
            await tape.until(
                lambda f=failures, w=words: any(w in event.reason for event in tape.failures()[f:]),  # type: ignore[misc]
                f"an event that says {words!r} of {name}",
            )
            await tape.until(
                lambda n=count: any(c.mode == "cache" for c in tape.chains[n:]), f"the kept chain under {name}"
            )  # type: ignore[misc]
            await asyncio.to_thread(scene.listen)
            site.faults.clear()
            of_fault = [event for event in tape.failures()[failures:] if words in event.reason]
            files = scene.captured(of_fault[0])
            assert set(files) == {SCREENSHOT, PAGE, RESPONSE}, (name, of_fault[0])
            assert b'name="csrf-token" content="[redacted]"' in files[PAGE], name
        await tape.until(lambda: tape.chains[-1].mode == "live", "a live chain once more")

        # An account that is closed is not knocked at twice.
        logins = posted(site)
        site.faults.start("login-rejected", times=0)
        site.faults.start("session-expired")
        await tape.until(lambda: len(refusals(tape)) > 3, "that the login is refused, and stays so")
        await asyncio.to_thread(scene.listen)
        assert posted(site) == logins + 1
        assert b'name="_token" value=""' in scene.captured(refusals(tape)[0])[PAGE]
        assert (tape.chains[-1].mode, json.loads(service.get("/readyz"))["ready"]) == ("cache", True)
        assert await asyncio.to_thread(service.stop) == 0
        await asyncio.to_thread(tape.read)
        fetched = {chain.fetched_at for chain in tape.chains if chain.mode == "live"}
        for chain in tape.chains:
            market.assert_is_shown(chain)
            assert chain.mode in ("live", "cache")
            assert chain.fetched_at in fetched, "what is kept was live once, and keeps the time of that"
        assert {now for _, now in tape.changes()} == {"barchart/live", "barchart/cache"}
        assert_no_secret_got_out(scene)
    (kept,) = (state / "barchart" / "browser").iterdir()
    assert (stat.S_IMODE(kept.stat().st_mode), stat.S_IMODE(kept.parent.stat().st_mode)) == (0o600, 0o700)
    assert any(secret in kept.read_text() for secret in scene.secrets()), "what is searched for can be found"


async def test_a_login_that_was_never_good_ends_the_producer_with_a_clear_error(
    tape: Tape, state: Path, start: Callable[..., Service]
) -> None:
    market = FrozenMarket()
    async with BarchartSite(market, settings=SiteSettings(accounts={EMAIL: PASSWORD[1:]})) as site:
        scene = Scene(site, market, tape, state, start)
        service = scene.begin()
        await tape.until(lambda: service.process.poll() is not None, "an end")
        assert service.stop() == 1
        assert_no_secret_got_out(scene)
    assert posted(site) == 1
    assert "TAPELINE_BARCHART_PASSWORD" in service.log().splitlines()[-1]
    assert "Traceback" not in service.log()
    (failed,) = tape.failures()
    assert set(scene.captured(failed)) == {SCREENSHOT, PAGE, RESPONSE}
    assert tape.chains == []
    assert not (state / "barchart" / "browser").exists(), "a session that is not let in is not kept"


def refusals(tape: Tape) -> list[FeedEvent]:
    """Return the failures that name the account as what must be mended."""
    return [event for event in tape.failures() if "TAPELINE_BARCHART_PASSWORD" in event.reason]


def posted(site: BarchartSite) -> int:
    """Return how often someone has tried to log in."""
    return sum(request.kind == "login" for request in site.requests)


def assert_no_secret_got_out(scene: Scene) -> None:
    secrets = {secret.lower().encode() for secret in scene.secrets()}
    places = dict.fromkeys(("captures", "the log", "md.feed-events.v1"), 0)
    for place, content in scene.places():
        shown = content.lower()
        found = [secret for secret in secrets if secret in shown]
        assert not found, f"{found} in {place}"
        for name in places:
            places[name] += name in place
    assert places["captures"]
    assert places["the log"]
    assert places["md.feed-events.v1"]
