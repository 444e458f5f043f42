"""One market behind two vendors: what Barchart's simulated site shows of it, read as a producer reads it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import orjson
import pytest
from tests.unit.simulator.barchart.showing import SECOND, START
from typer.testing import CliRunner

from tapeline.errors import Misconfigured
from tapeline.feed.barchart.on_demand import parse_on_demand
from tapeline.feed.barchart.page import parse_page
from tapeline.feed.barchart.payload import parse_chain
from tapeline.model.chains import NULL, Chain
from tapeline_simulator.barchart.market import OptionRow
from tapeline_simulator.barchart.pages import CORE_API
from tapeline_simulator.barchart.settings import SiteSettings
from tapeline_simulator.barchart.site import BarchartSite
from tapeline_simulator.barchart.synthetic import synthetic_venue
from tapeline_simulator.barchart.venue_market import VenueMarket
from tapeline_simulator.commands import simulate
from tapeline_simulator.venue import OptionSettings

TAPELINE = [sys.executable, "-m", "tapeline_cli"]
DEADLINE_S = 60
PAGE = "/futures/quotes/NQZ26/options?futuresOptionsView=merged"


def in_order(rows: Sequence[OptionRow], name: str) -> list[int]:
    values: list[Decimal | None] = [getattr(row.quote, name) for row in rows]
    return [NULL if value is None else int(value.scaleb(9)) for value in values]


def assert_shows(chain: Chain, rows: Sequence[OptionRow], names: Sequence[str]) -> None:
    contracts = chain.contracts
    assert contracts.strike.tolist() == [row.strike_points * SECOND for row in rows]
    assert contracts.is_call.tolist() == [row.is_call for row in rows]
    for name in names:
        assert contracts.integers(name).tolist() == in_order(rows, name), name


async def test_every_series_of_the_page_parses_to_what_the_venue_shows() -> None:
    """The site's clock and the market's are one; nothing here knows how the site writes what it shows."""
    venue = synthetic_venue(start_ns=START, options=OptionSettings(expiries=6, trades_per_s=100.0))
    venue.advance(START + 2 * SECOND)
    market = VenueMarket(venue)
    view = market.view()
    settings = SiteSettings(auth="b", keys=frozenset(["key"]))
    async with (
        BarchartSite(market, settings=settings, clock_ns=lambda: view.at_ns) as site,
        aiohttp.ClientSession(headers={"sec-fetch-site": "same-origin"}) as session,
    ):
        async with session.get(site.url + PAGE) as response:
            page = parse_page(await response.text(), view.at_ns)
        assert (page.unresolved, page.underlying) == ((), "NQZ6")
        assert [each.series.expiry for each in page.series] == [each.expires_ns for each in view.series]
        assert [each.series.vendor_series for each in page.series] == [each.symbol for each in view.series]
        assert len(page.series) == 7
        for listed in page.series:
            rows = view.rows(listed.series.vendor_series)
            asked = {"symbol": listed.series.vendor_series, "list": "futures.options", "groupBy": "optionType"}
            async with session.get(site.url + CORE_API, params={**asked, "raw": "1"}) as response:
                body = await response.read()
            moment = {"source": "barchart", "mode": "live", "fetched_at": view.at_ns, "published_at": view.at_ns}
            chain = parse_chain(body, listed.series, **moment)  # type: ignore[arg-type]
            assert_shows(chain, rows, ("bid", "ask", "last", "open", "high", "low", "change"))
            assert (len(chain.contracts), chain.complete) == (len(rows), True)
            settled = chain.contracts.columns["last_is_settlement"]
            assert np.flatnonzero(settled == 1).tolist() == [
                position for position, row in enumerate(rows) if row.quote.is_settlement
            ]
            licensed = {"contract": listed.series.vendor_series, "apikey": "key", "maxRecords": "10000"}
            fields = {"fields": "bid,ask,volume,openInterest"}
            async with session.get(
                site.url + "/ondemand/getFuturesOptions.json", params={**licensed, **fields}
            ) as response:
                body = await response.read()
            on_demand = parse_on_demand(body, listed.series, **moment)  # type: ignore[arg-type]
            assert_shows(on_demand, rows, ("bid", "ask", "last"))
        async with session.get(
            site.url + "/ondemand/getFuturesOptions.json", params={"root": "NQ", "apikey": "key"}
        ) as few:
            assert len(orjson.loads(await few.read())["results"]) == 20


@contextlib.contextmanager
def simulated(folder: Path, *arguments: str) -> Iterator[dict[str, Any]]:
    """Run the command and say what it tells; it must end well when asked to."""
    process = subprocess.Popen(
        [*TAPELINE, "simulate", *arguments, "--port", "0", "--control-port", "0", "--json"],
        env={**os.environ, "TAPELINE_STATE_DIR": str(folder)},
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        yield orjson.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0
    finally:
        process.kill()
        process.wait()


def fault(control_port: int, *arguments: str) -> Any:
    command = [*TAPELINE, "simulate", "fault", "--control-port", str(control_port), *arguments]
    done = subprocess.run(command, check=True, timeout=DEADLINE_S, capture_output=True)
    return [orjson.loads(line) for line in done.stdout.splitlines()]


def fetched(url: str, body: bytes | None = None) -> tuple[int, bytes]:
    request = urllib.request.Request(url, body, {"sec-fetch-site": "same-origin"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as response:  # noqa: S310
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def test_both_vendors_are_served_by_one_process_and_one_control_api(tmp_path: Path) -> None:
    with simulated(tmp_path, "databento", "--barchart-port", "0") as told:
        site, control = told["barchart_url"], f"http://127.0.0.1:{told['control_port']}"
        assert told["barchart_on_demand_url"] == f"{site}/ondemand"
        status = orjson.loads(fetched(f"{control}/barchart/status")[1])
        page = f"{site}/futures/quotes/{status['futures'][0]}/options"
        assert fetched(page)[0] == 200
        assert fault(told["control_port"], "http-error", "on=page", "status=429")[0]["times"] == 1
        assert fetched(f"{control}/faults", b'{"name": "stall", "seconds": 60}')[0] == 201
        active = orjson.loads(fetched(f"{control}/faults")[1])
        assert [each["name"] for each in active] == ["stall", "http-error"]
        assert [fetched(page)[0] for _ in range(2)] == [429, 200]
        refused = orjson.loads(fetched(f"{control}/faults", b'{"name": "fire"}')[1])["error"]
        assert {"fin", "http-hang", "session-expired"} <= set(refused.removeprefix("name: must be one of ").split(", "))
        requests = orjson.loads(fetched(f"{control}/barchart/requests")[1])
        assert [(each["kind"], each["status"]) for each in requests] == [("page", 200), ("page", 429), ("page", 200)]


def test_captured_chains_are_served_alone(tmp_path: Path) -> None:
    folder = tmp_path / "captured"
    folder.mkdir()
    rows = [
        {
            "strike": "21,000.00C",
            "openPrice": "N/A",
            "highPrice": "N/A",
            "lowPrice": "N/A",
            "lastPrice": "N/A",
            "priceChange": "N/A",
            "bidPrice": "10.00",
            "askPrice": "11.25",
            "volume": "N/A",
            "openInterest": "N/A",
            "premium": "0.00",
            "tradeTime": "06/09/25",
            "symbol": "MC2M5|21000C",
            "optionType": "Call",
            "raw": {"strike": 21_000, "bidPrice": 10, "askPrice": 11.25, "volume": None, "openInterest": None}
            | {"tradeTime": 1_749_427_200, "priceChange": 0},
        }
    ]
    (folder / "chain.json").write_bytes(orjson.dumps({"count": 1, "total": 1, "data": {"Call": rows}}))
    with simulated(tmp_path, "barchart", "--file", str(folder), "--auth", "b") as told:
        query = "symbol=MC2M25&list=futures.options&fields=strike,bidPrice,askPrice&raw=1"
        status, body = fetched(f"{told['barchart_url']}{CORE_API}?{query}")
        raw = {"strike": 21_000, "bidPrice": 10, "askPrice": 11.25}
        row = {"strike": "21,000.00C", "bidPrice": "10.00", "askPrice": "11.25", "raw": raw}
        assert (status, orjson.loads(body)) == (200, {"count": 1, "total": 1, "data": [row]})
        assert fetched(f"http://127.0.0.1:{told['control_port']}/faults", b'{"name": "empty-chain"}')[0] == 201
        assert orjson.loads(fetched(f"{told['barchart_url']}{CORE_API}?{query}")[1])["total"] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["barchart", "--speed", "0"], "--speed must be a number above 0"),
        (["barchart", "--auth", "c"], "--auth must be one of a, b, is 'c'"),
        (["barchart", "--retry-after", "soon"], "--retry-after must be one of seconds, date, none"),
        (["barchart", "--calls-per-minute", "0"], "--calls-per-minute must be at least 1"),
        (["barchart", "--file", "none"], "--file must be a folder of captured chains, is none"),
        (["databento", "--barchart-port", "0", "--no-options"], "--barchart-port shows the options"),
    ],
)
def test_a_wrong_option_is_told_with_the_rule(arguments: list[str], said: str) -> None:
    refused = CliRunner().invoke(simulate, [*arguments, "--control-port", "0"]).exception
    assert isinstance(refused, Misconfigured)
    assert str(refused).startswith(said)
