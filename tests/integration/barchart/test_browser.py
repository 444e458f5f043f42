"""A real Chromium at the simulated site: let in, or a clear error with captures that hold no secret."""

from __future__ import annotations

import asyncio
import re
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import aiohttp
import pytest
import pytest_asyncio
from pydantic import SecretStr
from tests.integration.barchart.small_market import AT_NS, PAGE_PATH, SERIES, SmallMarket
from tests.integration.barchart.telltale_site import SESSION, telltale_site

from tapeline.errors import Misconfigured
from tapeline_barchart.browser import BrowserAuthentication, Patience
from tapeline_barchart.captures import PAGE, RESPONSE, SCREENSHOT
from tapeline_barchart.chromium import Chromium
from tapeline_barchart.errors import (
    Challenged,
    CutAnswer,
    FetchFailed,
    HeldOff,
    LoginRefused,
    NotJson,
    SessionInvalid,
    SiteAway,
    Throttled,
)
from tapeline_barchart.settings import BarchartSettings
from tapeline_simulator.barchart.pages import CORE_API
from tapeline_simulator.barchart.settings import SiteSettings
from tapeline_simulator.barchart.site import BarchartSite

pytestmark = pytest.mark.asyncio(loop_scope="module")

EMAIL, PASSWORD = "trader+nq@example.com", 'Tr4de & "hedge" <1%>'
DEADLINE_S = 30.0
PATIENCE = Patience(csrf_s=DEADLINE_S, api_s=DEADLINE_S, challenge_s=0.2)

Begin = Callable[..., BrowserAuthentication]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(chromium: Path) -> AsyncIterator[Chromium]:
    running = Chromium(chromium, DEADLINE_S)
    yield running
    await running.close()


@pytest_asyncio.fixture(loop_scope="module")
async def site() -> AsyncIterator[BarchartSite]:
    async with BarchartSite(SmallMarket(), settings=SiteSettings(accounts={EMAIL: PASSWORD})) as site:
        yield site


@pytest.fixture
def calls() -> list[float]:
    """When each call of the site was taken."""
    return []


@pytest.fixture
def entry(
    running: Chromium, site: BarchartSite, calls: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Begin:
    """Makes a strategy for the site, as a process that starts would."""
    monkeypatch.setenv("TAPELINE_STATE_DIR", str(tmp_path))

    async def take_call() -> None:
        calls.append(asyncio.get_running_loop().time())

    def make(
        take_call: Callable[[], Any] = take_call, patience: Patience = PATIENCE, **changed: Any
    ) -> BrowserAuthentication:
        settings = BarchartSettings.load(
            {"TAPELINE_BARCHART_ENABLED": "true"},
            dotenv=tmp_path / "none",
            overrides={"site": site.url, "browser_timeout_s": DEADLINE_S} | changed,
        )
        return BrowserAuthentication(settings, take_call, clock_ns=lambda: AT_NS, patience=patience, chromium=running)

    return make


def login(**changed: Any) -> dict[str, Any]:
    return {"authentication": "login", "email": SecretStr(EMAIL), "password": SecretStr(PASSWORD)} | changed


def captured(tmp_path: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    return {Path(name).name: (tmp_path / "barchart" / "captures" / name).read_bytes() for name in names}


async def call_api(site: BarchartSite, cookies: dict[str, str], headers: dict[str, str]) -> int:
    jar = aiohttp.CookieJar(unsafe=True, quote_cookie=False)
    async with aiohttp.ClientSession(cookie_jar=jar, cookies=cookies) as client:
        query = {"symbol": SERIES, "list": "futures.options", "fields": "strike", "raw": "1"}
        async with client.get(site.url + CORE_API, params=query, headers=headers) as answer:
            return answer.status


async def test_a_session_is_handed_over_and_good(entry: Begin, site: BarchartSite, calls: list[float]) -> None:
    credentials = await entry().begin(site.url + PAGE_PATH)
    assert credentials.headers["x-xsrf-token"] == unquote(credentials.cookies["XSRF-TOKEN"])
    assert credentials.headers["x-xsrf-token"].endswith("=")
    assert "Chrome/" in credentials.headers["user-agent"]
    assert f"{SERIES}</option>" in credentials.page
    counted = [each.kind for each in site.requests if each.kind != "pulse"]
    assert counted == ["page", "chain"]
    assert len(calls) == len(counted)
    assert await call_api(site, dict(credentials.cookies), dict(credentials.headers)) == 200
    assert await call_api(site, dict(credentials.cookies), {}) != 200
    assert all(secret not in repr(credentials) for secret in credentials.cookies.values())


async def test_a_token_that_comes_late_is_waited_for(entry: Begin, running: Chromium, tmp_path: Path) -> None:
    late = SiteSettings(csrf_late_ms=600)
    async with BarchartSite(SmallMarket(), settings=late) as site:
        credentials = await entry(site=site.url).begin(site.url + PAGE_PATH)
    assert '<meta name="csrf-token"' in credentials.page


async def test_the_session_is_kept_for_the_next_start_and_renewed_when_asked_again(
    entry: Begin, site: BarchartSite, tmp_path: Path
) -> None:
    first = await entry().begin(site.url + PAGE_PATH)
    (kept,) = (tmp_path / "barchart" / "browser").iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700

    started_anew = entry()
    second = await started_anew.begin(site.url + PAGE_PATH)
    assert second.cookies["laravel_session"] == first.cookies["laravel_session"]
    assert second.cookies["XSRF-TOKEN"] != first.cookies["XSRF-TOKEN"]

    renewed = await started_anew.begin(site.url + PAGE_PATH)
    assert renewed.cookies["laravel_session"] != first.cookies["laravel_session"]
    assert await call_api(site, dict(renewed.cookies), dict(renewed.headers)) == 200


async def test_an_expired_session_is_told_and_the_next_attempt_begins_anew(entry: Begin, site: BarchartSite) -> None:
    strategy = entry()
    site.faults.start("session-expired", on="chain", status=419)
    with pytest.raises(SessionInvalid, match="419") as caught:
        await strategy.begin(site.url + PAGE_PATH)
    assert caught.value.captures
    credentials = await strategy.begin(site.url + PAGE_PATH)
    assert await call_api(site, dict(credentials.cookies), dict(credentials.headers)) == 200


async def test_login_with_good_credentials(entry: Begin, site: BarchartSite, calls: list[float]) -> None:
    credentials = await entry(**login()).begin(site.url + PAGE_PATH)
    assert 'href="/logout"' in credentials.page
    posted = [each for each in site.requests if each.method == "POST"]
    assert [(each.path, each.status) for each in posted] == [("/login", 302)]
    assert len(calls) == len([each for each in site.requests if each.kind != "pulse"])


async def test_who_is_logged_in_still_does_not_log_in_again(
    entry: Begin, site: BarchartSite, calls: list[float]
) -> None:
    await entry(**login()).begin(site.url + PAGE_PATH)
    credentials = await entry(**login()).begin(site.url + PAGE_PATH)
    assert 'href="/logout"' in credentials.page
    assert len([each for each in site.requests if each.method == "POST"]) == 1
    # the redirect away from the form is a call too, which nobody could hold back
    assert len(calls) == len([each for each in site.requests if each.kind != "pulse"])


async def test_rejected_credentials_are_told_with_what_to_do_and_show_nowhere(
    entry: Begin, site: BarchartSite, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wrong = 'Wr0ng & "Pass"'
    with pytest.raises(LoginRefused, match="TAPELINE_BARCHART_PASSWORD") as caught:
        await entry(**login(password=SecretStr(wrong))).begin(site.url + PAGE_PATH)
    files = captured(tmp_path, caught.value.captures)
    assert set(files) == {SCREENSHOT, PAGE, RESPONSE}
    assert files[SCREENSHOT].startswith(b"\x89PNG")
    page = files[PAGE].decode()
    assert "is incorrect" in page
    assert set(re.findall(r'<input[^>]*\bvalue="([^"]*)"', page)) <= {""}
    assert b'"status": 200' in files[RESPONSE]
    printed = "".join(capfd.readouterr())
    for secret in (EMAIL, PASSWORD, wrong):
        for shown in (str(caught.value), repr(caught.value), printed, page, files[RESPONSE].decode()):
            assert secret not in shown
    assert caught.value.__cause__ is None
    assert not list((tmp_path / "barchart").glob("browser/*.json"))


async def test_a_challenge_is_told_as_one(entry: Begin, site: BarchartSite, tmp_path: Path) -> None:
    site.faults.start("waf", on="page", status=403)
    with pytest.raises(Challenged, match="firewall") as caught:
        await entry().begin(site.url + PAGE_PATH)
    files = captured(tmp_path, caught.value.captures)
    assert b"challenge-container" in files[PAGE]
    assert b'"status": 403' in files[RESPONSE]
    assert b'"x-amzn-waf-action": "challenge"' in files[RESPONSE]
    assert (await entry().begin(site.url + PAGE_PATH)).cookies


@pytest.mark.parametrize("on", ["page", "chain"])
async def test_a_site_that_hangs_is_given_up(entry: Begin, site: BarchartSite, on: str) -> None:
    site.faults.start("hang", on=on)
    with pytest.raises(SiteAway, match=r"within 1\.5 s") as caught:
        await entry(browser_timeout_s=1.5).begin(site.url + PAGE_PATH)
    assert caught.value.captures


async def test_a_turn_that_is_waited_for_does_not_count_as_slow(entry: Begin, site: BarchartSite) -> None:
    async def take_call() -> None:
        await asyncio.sleep(2.0)

    assert (await entry(take_call=take_call, browser_timeout_s=3.5).begin(site.url + PAGE_PATH)).cookies


@pytest.mark.parametrize("spared", [0, 1])
async def test_nothing_goes_out_for_which_there_is_no_call(entry: Begin, site: BarchartSite, spared: int) -> None:
    taken = 0

    async def take_call() -> None:
        nonlocal taken
        taken += 1
        if taken > spared:
            raise HeldOff("the site wants quiet", 60.0)

    with pytest.raises(HeldOff, match="quiet") as caught:
        await entry(take_call=take_call).begin(site.url + PAGE_PATH)
    assert [each.kind for each in site.requests if each.kind != "pulse"] == ["page"][:spared]
    assert not caught.value.captures


@pytest.mark.parametrize(
    ("fault", "parameters", "error"),
    [
        ("http-error", {"on": "page", "status": 429, "retry_after": "seconds", "seconds": 7}, Throttled),
        ("http-error", {"on": "chain", "status": 429, "retry_after": "seconds", "seconds": 7}, Throttled),
        ("html-instead-of-json", {"on": "chain"}, NotJson),
        ("truncated-json", {"on": "chain"}, CutAnswer),
        ("reset", {"on": "page"}, SiteAway),
    ],
)
async def test_each_failure_has_its_name(
    entry: Begin, site: BarchartSite, fault: str, parameters: dict[str, Any], error: type[FetchFailed]
) -> None:
    site.faults.start(fault, **parameters)
    with pytest.raises(error) as caught:
        await entry().begin(site.url + PAGE_PATH)
    assert caught.value.captures
    if isinstance(caught.value, Throttled):
        assert caught.value.retry_after_s == 7.0


async def test_captures_are_bounded(entry: Begin, site: BarchartSite, tmp_path: Path) -> None:
    strategy = entry(captures_count=1)
    site.faults.start("http-error", on="page", status=500, times=2)
    last: tuple[str, ...] = ()
    for _ in range(2):
        with pytest.raises(SiteAway) as caught:
            await strategy.begin(site.url + PAGE_PATH)
        last = caught.value.captures
    assert len(list((tmp_path / "barchart" / "captures").iterdir())) == 1
    assert captured(tmp_path, last)


async def test_no_token_of_the_session_is_in_a_capture(entry: Begin, site: BarchartSite, tmp_path: Path) -> None:
    site.faults.start("html-instead-of-json", on="chain")
    site.faults.start("http-error", on="chain", status=500, after=1)
    strategy = entry(**login())
    with pytest.raises(NotJson) as caught:
        await strategy.begin(site.url + PAGE_PATH)
    files = captured(tmp_path, caught.value.captures)
    assert len(site.given) > 2
    for secret in site.given:
        assert secret.encode() not in b"".join(files.values())
    assert b'name="csrf-token"' in files[PAGE]


async def test_a_page_that_goes_on_calling_is_let_call_once(entry: Begin) -> None:
    async with telltale_site() as site:
        quick = Patience(csrf_s=0.3, api_s=DEADLINE_S)
        credentials = await entry(site=site.url, patience=quick).begin(site.url + PAGE_PATH)
    assert credentials.cookies["laravel_session"] == SESSION
    assert site.calls[CORE_API] == 1


async def test_what_a_page_tells_of_a_session_or_an_account_is_in_no_capture(entry: Begin, tmp_path: Path) -> None:
    async with telltale_site() as site:
        site.status = 419
        with pytest.raises(SessionInvalid) as told:
            await entry(site=site.url).begin(site.url + PAGE_PATH)
        with pytest.raises(LoginRefused) as refused:
            await entry(**login(site=site.url)).begin(site.url + PAGE_PATH)
    shown = captured(tmp_path, told.value.captures)
    assert b"You are [redacted]." in shown[PAGE]
    assert b'"title": "[redacted]"' in shown[RESPONSE]
    assert SESSION.encode() not in b"".join(shown.values())
    shown = captured(tmp_path, refused.value.captures)
    assert b"no account of [redacted]." in shown[PAGE]
    assert b"/login?email=[redacted]" in shown[RESPONSE]
    assert not [form for form in (EMAIL, quote(EMAIL)) if form.encode() in b"".join(shown.values())]


async def test_without_chromium_the_remedy_is_told(entry: Begin, tmp_path: Path) -> None:
    missing = Chromium(tmp_path / "no-chromium", DEADLINE_S)
    with pytest.raises(Misconfigured, match="TAPELINE_BARCHART_CHROMIUM_PATH"):
        await missing.browser()
