"""`tapeline doctor barchart` at the simulated site: green where all is well, and red with a remedy where it is not."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.integration.barchart.small_market import AT_NS, SERIES, SmallMarket

from tapeline.feed.doctor import Check
from tapeline_barchart.doctor.checks import examine
from tapeline_barchart.doctor.setup import DoctorSettings
from tapeline_barchart.limits import call_limit
from tapeline_simulator.barchart.settings import SiteSettings
from tapeline_simulator.barchart.site import BarchartSite

EMAIL, PASSWORD, KEY = "trader+nq@example.com", 'Tr4de & "hedge"', "0123456789abcdef"
BEGAN_NS = time.monotonic_ns()

Examine = Callable[..., Awaitable[dict[str, Check]]]


def clock_ns() -> int:
    return AT_NS + time.monotonic_ns() - BEGAN_NS


@pytest_asyncio.fixture
async def site() -> AsyncIterator[BarchartSite]:
    settings = SiteSettings(accounts={EMAIL: PASSWORD}, keys=frozenset({KEY}))
    async with BarchartSite(SmallMarket(), settings=settings) as site:
        yield site


@pytest.fixture
def settings(site: BarchartSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., DoctorSettings]:
    monkeypatch.setenv("TAPELINE_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")  # another test's subject

    def make(**changed: Any) -> DoctorSettings:
        given = {"enabled": True, "site": site.url, "on_demand": f"{site.url}/ondemand", "call_spacing_s": 0}
        return DoctorSettings.load({}, dotenv=tmp_path / "none", overrides=given | changed)

    return make


async def found(settings: DoctorSettings, *, live: bool = False) -> dict[str, Check]:
    checks = {check.name: check async for check in examine(settings, live=live, clock_ns=clock_ns, timeout_s=20.0)}
    assert list(checks) == [
        *("enabled", "credentials", "chromium", "calls", "session", "page", "series", "chain", "cache", "market"),
        "kafka",
    ]
    said = " ".join(f"{check.detail} {check.remedy}" for check in checks.values())
    assert not [secret for secret in (EMAIL, PASSWORD, KEY) if secret in said]
    return checks


def states(checks: dict[str, Check], *names: str) -> list[str]:
    return [checks[name].status for name in names]


async def test_all_is_well(settings: Callable[..., DoctorSettings], site: BarchartSite) -> None:
    checks = await found(settings(authentication="session"))
    assert states(checks, "session", "page", "series", "chain", "cache", "market") == ["ok"] * 6
    assert SERIES in checks["series"].detail
    assert "4 contracts, complete, 1 quoted on one side only, 0 on none" in checks["chain"].detail
    assert "delay is taken to be 900 s" in checks["chain"].detail
    assert checks["kafka"].status == "red"
    # its calls are the producer's too
    used = await call_limit(settings(), clock_ns).used()
    assert used == len(site.requests) == 2


async def test_live_it_looks_in_chromium(settings: Callable[..., DoctorSettings], chromium: Path) -> None:
    given = settings(authentication="login", email=EMAIL, password=PASSWORD, chromium_path=chromium)
    checks = await found(given, live=True)
    assert states(checks, "credentials", "chromium", "session", "page", "series", "chain") == ["ok"] * 6
    assert "login" in checks["session"].detail


async def test_by_the_licensed_way(settings: Callable[..., DoctorSettings]) -> None:
    checks = await found(settings(authentication="on-demand", on_demand_key=KEY))
    assert states(checks, "credentials", "session", "page", "series", "chain") == ["ok"] * 5
    assert checks["session"].detail.endswith("(authentication=on-demand)")


async def test_a_wrong_key_is_told_and_not_shown(settings: Callable[..., DoctorSettings]) -> None:
    checks = await found(settings(authentication="on-demand", on_demand_key=KEY[::-1]))
    assert checks["session"].status == "red"
    assert "OnDemand account" in str(checks["session"].remedy)
    assert KEY[::-1] not in str(checks)


async def test_off_it_asks_nothing(settings: Callable[..., DoctorSettings], site: BarchartSite) -> None:
    checks = await found(settings(enabled=False))
    assert "terms of use" in checks["enabled"].detail
    assert "TAPELINE_BARCHART_ENABLED=true" in str(checks["enabled"].remedy)
    assert states(checks, "enabled", "session", "chain") == ["red", "skipped", "skipped"]
    assert not site.requests


async def test_an_account_that_is_not_set_is_told(settings: Callable[..., DoctorSettings]) -> None:
    checks = await found(settings(authentication="login", email=EMAIL))
    assert checks["credentials"].detail.endswith("not set: the password")
    assert checks["session"].status == "skipped"


async def test_without_chromium_its_way_in_is_red(settings: Callable[..., DoctorSettings], tmp_path: Path) -> None:
    for way, status in (("browser", "red"), ("headers", "skipped")):
        checks = await found(settings(authentication=way, chromium_path=tmp_path / "none"))
        assert checks["chromium"].status == status
    assert "TAPELINE_BARCHART_CHROMIUM_PATH" in checks["chromium"].detail


@pytest.mark.parametrize(
    ("fault", "parameters", "red", "remedy"),
    [
        ("waf", {"on": "page", "status": 403, "times": 0}, "session", "--live"),
        ("http-error", {"on": "page", "status": 503}, "session", "own browser"),
        ("http-error", {"on": "page", "status": 429, "retry_after": "seconds"}, "session", "CALLS_PER_MINUTE"),
        ("partial-chain", {"on": "chain", "what": "side"}, "chain", "newer Tapeline"),
        ("truncated-json", {"on": "chain"}, "chain", "try again"),
    ],
)
async def test_a_fault_is_red_where_it_is(
    settings: Callable[..., DoctorSettings],
    site: BarchartSite,
    fault: str,
    parameters: dict[str, Any],
    red: str,
    remedy: str,
) -> None:
    site.faults.start(fault, **parameters)
    checks = await found(settings(authentication="session"))
    assert checks[red].status == "red"
    assert remedy in str(checks[red].remedy)


async def test_a_site_that_wants_quiet_is_left_alone(
    settings: Callable[..., DoctorSettings], site: BarchartSite
) -> None:
    site.faults.start("http-error", on="page", status=429, retry_after="seconds", seconds=300)
    await found(settings(authentication="session"))
    asked = len(site.requests)
    checks = await found(settings(authentication="session"))
    assert states(checks, "calls", "session") == ["red", "skipped"]
    assert "429" in checks["calls"].detail
    assert len(site.requests) == asked


async def test_a_series_that_is_not_listed_is_told(settings: Callable[..., DoctorSettings]) -> None:
    checks = await found(settings(authentication="session", series="MQ4M25"))
    assert states(checks, "series", "chain") == ["red", "skipped"]
    assert "MQ4M25" in checks["series"].detail
    assert "TAPELINE_BARCHART_SERIES" in str(checks["series"].remedy)
