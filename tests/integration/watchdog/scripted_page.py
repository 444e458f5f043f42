"""The page of a watchdog whose every document is written here: what it shows can be compared, and photographed."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final

import orjson
from aiohttp import web

from tapeline.ops.health import HealthEndpoint
from tapeline_watchdog.settings import WatchdogSettings
from tapeline_watchdog.web.guard import guard
from tapeline_watchdog.web.market import CHART_WINDOWS, flow_rows, ladder, pressure_rows
from tapeline_watchdog.web.pages import Page
from tapeline_watchdog.web.parts import NAMES

S: Final = 1_000_000_000
NOBODY: Final = "127.0.0.1:1"


class ScriptedPage:
    """Serves the real page and its stream with `documents`, by path, on the same port after each start.

    Nothing is read from Kafka: what of the market is to be shown is given to `pressure`, `chain` and `flow`.
    """

    def __init__(self, documents: dict[str, dict[str, Any]]) -> None:
        self.documents = documents
        self.most_clients = 4
        self.port = 0
        self._endpoint: HealthEndpoint | None = None
        self._new_page()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> ScriptedPage:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, on the port of the first time."""
        self._new_page()
        routes = [*self.page.routes(), *(web.get(f"/v1/{name}", self._answer) for name in NAMES)]
        self._endpoint = HealthEndpoint(
            lambda: {"ready": True}, port=self.port, routes=routes, middlewares=(guard(("tape.example",)),)
        )
        await self._endpoint.__aenter__()
        self.port = int(self._endpoint.url.rpartition(":")[2])

    async def stop(self) -> None:
        """End all streams and listen no more."""
        if self._endpoint is not None:
            self.page.stop()
            await self._endpoint.__aexit__(None, None, None)
            self._endpoint = None

    def pressure(self, message: dict[str, Any]) -> None:
        for key, row in pressure_rows(message):
            self.page.hub.put("pressure", key, row)

    def chain(self, chain: dict[str, Any]) -> None:
        self.page.hub.put("chain", *ladder(chain))

    def flow(self, message: dict[str, Any]) -> None:
        for key, row in flow_rows(message):
            self.page.hub.put("flow", key, row)

    def _new_page(self) -> None:
        parts = {name: lambda name=name: self.documents.get(name) for name in NAMES}
        self.page = Page(parts, WatchdogSettings(page_clients=self.most_clients), NOBODY)

    async def _answer(self, request: web.Request) -> web.Response:
        document = self.documents.get(request.path.rpartition("/")[2])
        return web.Response(
            status=503 if document is None else 200, body=orjson.dumps(document), content_type="application/json"
        )


def documents(at_ns: int) -> dict[str, dict[str, Any]]:
    """Return a day with a bit of everything: feeds good and bad, a gap that is being filled, an incident, a budget."""
    at = str(at_ns)
    return {
        "feeds": {
            "at": at,
            "fresh": True,
            "feeds": [
                feed("databento", "GLBX.MDP3/NQ.FUT", "mbo", "LIVE", at_ns, 0.0042, 0.0187, 3120.4, 2984.0),
                feed("databento", "GLBX.MDP3/ES.FUT", "mbo", "LIVE", at_ns, 0.0039, 0.0164, 2644.0, 2590.2),
                feed("databento", "GLBX.MDP3/NQ.OPT#0", "l1", "LIVE", at_ns, 0.0061, 0.0415, 912.3, 1003.9),
                feed("databento", "GLBX.MDP3/Q4C.OPT", "l1", "QUIET", at_ns, 0.0058, 0.0391, 3.1, 3.4),
                feed("barchart", "barchart/NQ", "chain", "DEGRADED", at_ns, 2.41, 6.9, 0.2, 0.3)
                | {"reason": "half of the ticks come later than 2.4 s, usually 0.9 s"},
                feed("saved", "GLBX.MDP3/NQ.FUT", "mbo", "CLOSED", at_ns, None, None, None, None),
            ],
            "origins": [],
        },
        "lag": {
            "at": at,
            "groups": [
                group("tapeline-processor", "OK", 14, 0.031, 1, [("md.ticks.databento.v1", 14, 0.031)]),
                group("research-notebooks", "WARN", 48_210, 12.7, 2, [("md.pressure.v1", 48_210, 12.7)]),
                group("archive", "OK", 0, 0.0, 1, []),
            ],
            "stuck_workers": [],
        },
        "gaps": {
            "at": at,
            "gaps": [
                {
                    "id": "6d0c2b7e",
                    "source": "databento",
                    "stream": "GLBX.MDP3/NQ.FUT",
                    "kind": "mbo",
                    "symbols": ["*"],
                    "stage": "requested",
                    "reason": "disconnected for 74 minutes",
                    "ts_event_from": str(at_ns - 6_200 * S),
                    "ts_event_until": str(at_ns - 1_760 * S),
                    "opened_at": str(at_ns - 6_199 * S),
                    "missing_s": 4_440.0,
                    "request": {
                        "id": "0e7b8a3c-8f57-5d0f-9d0e-0f2c6a1d7c11",
                        "type": "progress",
                        "back_end": "replay",
                        "estimated_records": 1_250_000,
                        "read": 812_500,
                        "published": 812_432,
                        "skipped": 68,
                        "counted": None,
                        "cost_usd": 1.84,
                        "attempt": 1,
                        "reason": "",
                        "at": at,
                    },
                },
                {
                    "id": "91f3aa02",
                    "source": "databento",
                    "stream": "GLBX.MDP3/ES.FUT",
                    "kind": "mbo",
                    "symbols": ["ESZ6"],
                    "stage": "proven",
                    "reason": "maybe a bad book",
                    "ts_event_from": str(at_ns - 12_000 * S),
                    "ts_event_until": str(at_ns - 11_989 * S),
                    "opened_at": str(at_ns - 12_000 * S),
                    "missing_s": 11.0,
                    "request": {
                        "id": "c1a5f7f2-51b4-5f0b-8a44-9f27a5a3be20",
                        "type": "proven",
                        "back_end": "replay",
                        "estimated_records": 30_119,
                        "read": 30_119,
                        "published": 30_101,
                        "skipped": 18,
                        "counted": 30_119,
                        "cost_usd": 0.04,
                        "attempt": 1,
                        "reason": "",
                        "at": at,
                    },
                },
            ],
            "left_out": 0,
            "coverage": [],
        },
        "incidents": {
            "at": at,
            "incidents": [
                incident("a1", "feed_degraded", "open", "warning", at_ns, "barchart/barchart/NQ/chain", "late quotes")
                | {"evidence": ["p50 2.41 s, usually 0.92 s"]},
                incident("b2", "feed_disconnected", "closed", "critical", at_ns - 6_200 * S, "databento", "line cut"),
            ],
            "left_out": 0,
        },
        "costs": {
            "at": at,
            "month": f"{datetime.fromtimestamp(at_ns // S, UTC):%Y-%m}",
            "lines": [
                cost("databento", "plan", 6.63, 152.58, 199.0, notional=False),
                cost("databento", "history", 1.88, 9.41, 12.3, notional=False),
                cost("barchart", "licence", 0.98, 22.54, 29.4, notional=False),
            ],
            "total_usd": 184.53,
            "projected_usd": 240.7,
            "budget_usd": 220.0,
            "budget_used": 0.84,
            "warnings": [
                {
                    "scope": "everything",
                    "basis": "spent",
                    "level_percent": 80,
                    "amount_usd": 184.53,
                    "budget_usd": 220.0,
                }
            ],
            "missing": [],
            "advice": [
                {
                    "what": "Fill gaps by replay while it is included.",
                    "why": "History is metered; 7 of 9 fetches were recent.",
                    "saves_usd": 8.9,
                }
            ],
            "cache": {"hits": 41, "misses": 9, "hit_ratio": 0.82, "saved_usd": 51.2},
        },
    }


def feed(
    source: str,
    stream: str,
    kind: str,
    state: str,
    at_ns: int,
    p50_s: float | None,
    p99_s: float | None,
    rate: float | None,
    usual: float | None,
) -> dict[str, Any]:
    return {
        "source": source,
        "stream": stream,
        "kind": kind,
        "state": state,
        "reason": "",
        "since": str(at_ns - 900 * S),
        "flags": [],
        "expected": True,
        "beating": True,
        "session": "s",
        "epoch": 7,
        "heartbeat_age_s": 0.4,
        "last_tick": str(at_ns),
        "silence_s": 0.12,
        "silence_limit_s": 20.0,
        "ticks_per_s": rate,
        "usual_ticks_per_s": usual,
        "latency": None if p50_s is None else {"p50_s": p50_s, "p99_s": p99_s},
        "reconnects": 1,
        "reconnects_per_hour": 0.1,
        "queue_fill": 0.01,
    }


def group(
    name: str, status: str, messages: int, seconds: float, members: int, topics: list[tuple[str, int, float]]
) -> dict[str, Any]:
    return {
        "group": name,
        "state": "Stable",
        "members": members,
        "status": status,
        "messages": messages,
        "seconds": seconds,
        "topics": [{"topic": topic, "messages": m, "seconds": s, "partitions": []} for topic, m, s in topics],
    }


def incident(name: str, kind: str, state: str, severity: str, at_ns: int, subject: str, summary: str) -> dict[str, Any]:
    closed = str(at_ns + 74 * 60 * S) if state == "closed" else None
    return {
        "schema": "incident.v1",
        "id": name,
        "type": kind,
        "state": state,
        "severity": severity,
        "subject": subject,
        "summary": summary,
        "evidence": [],
        "request_ids": [],
        "flaps": 0,
        "opened_at": str(at_ns - 300 * S),
        "changed_at": str(at_ns),
        "closed_at": closed,
    }


def cost(source: str, line: str, today: float, month: float, projected: float, *, notional: bool) -> dict[str, Any]:
    return {
        "source": source,
        "line": line,
        "today_usd": today,
        "month_usd": month,
        "projected_usd": projected,
        "notional": notional,
    }


def pressure_message(symbol: str, at_ns: int, middle: float, windows: int = CHART_WINDOWS) -> dict[str, Any]:
    """Return `windows` windows of one second until `at_ns`, of a price that goes where the queues lean to."""
    chance = random.Random(symbol)
    rows, lean, price, delta = [], 0.0, middle, 0
    for back in range(windows, 0, -1):
        lean = max(-0.9, min(0.9, 0.9 * lean + chance.gauss(0.0, 0.2)))
        price += 0.25 * round(4 * (0.8 * lean + chance.gauss(0.0, 0.6)))
        bought = round(abs(chance.gauss(30 + 25 * lean, 9)))
        sold = round(abs(chance.gauss(30 - 25 * lean, 9)))
        delta += bought - sold
        rows.append(
            {
                "symbol": symbol,
                "window_start": str((at_ns // S - back) * S),
                "window_ms": 1_000,
                "revision": 1,
                "basis": "live",
                "weighted_mid": round((price + 0.125 + 0.12 * lean) * 1e9),
                "spread_time_weighted": 252_500_000 + round(4e6 * chance.random()),
                "order_flow_imbalance": round(40 * lean),
                "queue_imbalance_time_weighted": round(lean, 9),
                "buy_volume": bought,
                "sell_volume": sold,
                "cumulative_volume_delta": delta,
                "book_valid": back != 60,
                "trade_valid": True,
                "reasons": ["crossed"] if back == 60 else [],
            }
        )
    return {"source": "databento", "stream": "GLBX.MDP3/NQ.FUT", "kind": "mbo", "rows": rows}


def chain_document(underlying: str, at_ns: int, expiry_ns: int, forward: float) -> dict[str, Any]:
    """Return a live chain of 41 strikes, priced by Black's formula at a volatility that smiles."""
    chance, contracts = random.Random(expiry_ns), []
    years = (expiry_ns - at_ns) / S / 31_557_600
    for strike in (round(forward / 25) * 25 + 25.0 * step for step in range(-20, 21)):
        volatility = 0.19 + 2.2 * (math.log(strike / forward)) ** 2 - 0.25 * math.log(strike / forward)
        spread = volatility * math.sqrt(years)
        d1 = math.log(forward / strike) / spread + spread / 2
        call = forward * normal(d1) - strike * normal(d1 - spread)
        for right, value, delta in (("call", call, normal(d1)), ("put", call - forward + strike, normal(d1) - 1)):
            bid = max(0.05, math.floor(value * 4) / 4 - 0.25)
            contracts.append(
                {
                    "right": right,
                    "strike": strike,
                    "bid": bid,
                    "ask": bid + 0.5,
                    "volume": chance.randrange(900),
                    "volume_is_stale": chance.random() < 0.1,
                    "open_interest": chance.randrange(5_000),
                    "iv_mid": round(volatility, 4),
                    "delta": round(delta, 3),
                    "flags": ["one_sided"] if chance.random() < 0.06 else [],
                }
            )
    moment = datetime.fromtimestamp(expiry_ns // S, UTC)
    return {
        "schema": "option-chain.v1",
        "key": f"{underlying}/{moment:%Y-%m-%dT%H:%M:%SZ}",
        "source": "databento",
        "vendor": "databento",
        "mode": "live",
        "underlying": underlying,
        "expiry": str(expiry_ns),
        "as_of": str(at_ns),
        "delay_s": 0.0,
        "underlying_price": {"value": forward - 0.25, "from": "quote", "at": str(at_ns)},
        "forward": {"value": forward, "from": "parity", "pairs": 15, "deviation": 0.2},
        "expected": 82,
        "expected_from": "definitions",
        "received": 82,
        "complete": True,
        "flags": [],
        "verdict": {"errors": 0, "warnings": 0, "rules": {}},
        "selection": {"reason": "live, complete and 0.4 s old", "candidates": []},
        "contracts": contracts,
    }


def flow_message(chain: dict[str, Any], at_ns: int) -> dict[str, Any]:
    """Return the newest window of each length."""
    chance = random.Random(chain["key"])
    rows = []
    for window_ms in (1_000, 10_000, 60_000):
        size = window_ms / 1_000
        volumes = {
            f"{right}_{side}_volume": round(size * chance.random() * 3)
            for right in ("call", "put")
            for side in ("buy", "sell", "unsigned")
        }
        rows.append(
            volumes
            | {
                "window_start": str(at_ns // S * S - window_ms * 1_000_000),
                "window_ms": window_ms,
                "revision": 1,
                "basis": "live",
                "premium_call": round(size * chance.uniform(-4e3, 9e3), 1),
                "premium_put": round(size * chance.uniform(-6e3, 4e3), 1),
                "delta_flow": round(size * chance.uniform(-3, 4), 2),
                "vega_flow": round(size * chance.uniform(-9, 9), 2),
                "delta_missing_volume": 0,
                "trade_valid": True,
                "reasons": [],
            }
        )
    head = {name: chain[name] for name in ("key", "underlying", "expiry")}
    return {"source": "databento", "stream": "GLBX.MDP3/Q4C.OPT", "kind": "trade", **head, "rows": rows}


def normal(value: float) -> float:
    """Return the standard normal distribution function."""
    return 0.5 * (1 + math.erf(value / math.sqrt(2)))
