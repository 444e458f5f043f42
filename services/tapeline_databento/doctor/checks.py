"""The order in which Databento's doctor looks, and what is left out where there is no point in looking."""

from __future__ import annotations

import asyncio
import time
from calendar import monthrange
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

from tapeline.errors import Misconfigured, TapelineError
from tapeline.feed.cache_settings import open_ledger
from tapeline.feed.calendar import calendar_of
from tapeline.feed.cost import Plan, project_month
from tapeline.feed.doctor import Check, skipped
from tapeline.feed.doctor_broker import broker_check
from tapeline.feed.doctor_market import market_check
from tapeline.feed.prices import UnitPrices, micro_usd
from tapeline.ops.state import state_folder
from tapeline_databento.doctor import account, clock, live, month, pressure
from tapeline_databento.doctor.key import DoctorSettings, key_check, without_key
from tapeline_databento.doctor.sample import LiveSample, handshake, take_sample
from tapeline_databento.history.client import HistoryClient
from tapeline_databento.history.prices import daily_prices
from tapeline_databento.session import SOURCE
from tapeline_databento.settings import DatabentoSettings
from tapeline_databento.subscriptions import parse_subscriptions

SERVICE: Final = "tapeline-databento"
TIMEOUT_S: Final = 10
"""Longest time that one answer of the vendor may take."""
KAFKA_TIMEOUT_S: Final = 5.0

_NEEDS_LIVE: Final = "only asked for with --live"
_NO_KEY: Final = "there is no key to ask with"
_SAMPLED: Final = (live.SYMBOLS, live.DATA, pressure.NAME, clock.NAME)


async def checks(*, live: bool, seconds: float) -> AsyncIterator[Check]:
    """Examine Databento by the settings in force. Raises Misconfigured where they cannot be read, but for the key."""
    async for check in examine(DoctorSettings.load(), live=live, seconds=seconds, clock_ns=time.time_ns):
        yield check


async def examine(
    settings: DatabentoSettings, *, live: bool, seconds: float, clock_ns: Callable[[], int], timeout_s: int = TIMEOUT_S
) -> AsyncIterator[Check]:
    """Yield each check once it is done, none with the key in it.

    `clock_ns` is this computer's time; `timeout_s` is how long the vendor may take to answer.
    """
    short = settings.model_copy(
        update={
            "connect_timeout_s": min(settings.connect_timeout_s, timeout_s),
            "authentication_timeout_s": min(settings.authentication_timeout_s, timeout_s),
        }
    )
    hide = partial(without_key, key=settings.api_key)
    async for check in _Examination(short, clock_ns, timeout_s).checks(seconds if live else None):
        remedy = None if check.remedy is None else hide(check.remedy)
        yield replace(check, detail=hide(check.detail), remedy=remedy)


class _Examination:
    def __init__(self, settings: DatabentoSettings, clock_ns: Callable[[], int], timeout_s: int) -> None:
        self._settings = settings
        self._timeout_s = timeout_s
        self._clock_ns = clock_ns
        self._schemas = list(dict.fromkeys(each.schema for each in parse_subscriptions(settings.subscriptions)))
        self._client: HistoryClient | None = None
        """Where it let the key in."""
        self._rates: month.LiveRates | None = None

    async def checks(self, seconds: float | None) -> AsyncIterator[Check]:
        key = key_check(self._settings.api_key)
        yield key
        has_key = key.status != "red"
        if has_key:
            async for check in self._account():
                yield check
        else:
            for check in skipped(account.CHECKS, _NO_KEY):
                yield check
        market = market_check(calendar_of(self._settings.dataset), self._clock_ns())
        yield market
        async for check in self._live(seconds, has_key=has_key, is_known=market.status == "ok"):
            yield check
        yield await self._cost()
        yield await broker_check(SERVICE, KAFKA_TIMEOUT_S)

    async def _account(self) -> AsyncIterator[Check]:
        settings = self._settings
        try:
            client = HistoryClient(settings.api_key, settings.history_gateway, self._timeout_s)
        except Misconfigured as error:
            yield Check(account.AUTHENTICATION, "red", str(error), "correct TAPELINE_DATABENTO_HISTORY_GATEWAY")
            for check in skipped(account.CHECKS[1:], "the Historical API has no address"):
                yield check
            return
        now_ns = self._clock_ns()
        async for check in account.account_checks(client, settings.dataset, self._schemas, now_ns, self._timeout_s):
            if check.name == account.AUTHENTICATION and check.status == "ok":
                self._client = client
            yield check

    # -- live --------------------------------------------------------------------------------------------------------

    async def _live(self, seconds: float | None, *, has_key: bool, is_known: bool) -> AsyncIterator[Check]:
        if seconds is None or not has_key:
            for check in skipped(
                (live.AUTHENTICATION, live.ENTITLEMENT, *_SAMPLED), _NEEDS_LIVE if has_key else _NO_KEY
            ):
                yield check
            return
        settings = self._settings
        refused = await _refusal(settings)
        for check in live.handshake_checks(settings.dataset, settings.gateway_host, refused):
            yield check
        if refused is not None:
            for check in skipped(_SAMPLED, "it takes a session that the gateway lets in"):
                yield check
            return
        try:
            sample = await take_sample(settings, seconds, self._clock_ns)
        except TapelineError as error:
            yield Check(live.DATA, "red", str(error), live.REACH_GATEWAY)
            for check in skipped((live.SYMBOLS, pressure.NAME, clock.NAME), "there was no live session to look at"):
                yield check
            return
        is_open = is_known and calendar_of(settings.dataset).is_open(self._clock_ns())
        yield live.symbols_check(sample)
        yield live.data_check(sample, is_open=is_open)
        yield await asyncio.to_thread(pressure.pressure_check, sample.frames, is_open=is_open)
        yield clock.clock_check(sample.clock)
        if is_open and sample.fault is None:
            self._rates = self._measured(sample)

    def _measured(self, sample: LiveSample) -> month.LiveRates:
        """Return what a month of such seconds brings."""
        dataset = self._settings.dataset
        of_pair = {(each.stream(dataset), each.kind): each.schema for each in sample.plan.subscriptions}
        rates: dict[str, float] = {}
        for pair, ticks in sample.ticks.items():
            schema = of_pair[pair]
            rates[schema] = rates.get(schema, 0.0) + ticks / max(sample.seconds, 1e-3)
        begin_ns, end_ns = _month_of(self._clock_ns())
        return month.LiveRates(rates, calendar_of(dataset).open_ns(begin_ns, end_ns) / 1e9)

    # -- money -------------------------------------------------------------------------------------------------------

    async def _cost(self) -> Check:
        settings = self._settings
        plan = Plan(micro_usd(settings.flat_usd), micro_usd(settings.licence_usd))
        try:
            usages = await asyncio.to_thread(lambda: open_ledger().usages(source=SOURCE))
        except TapelineError as error:
            return Check(month.NAME, "red", str(error), "mend what is named there; the account guards the budget")
        projection = project_month(usages, plan, self._clock_ns())
        prices = await asyncio.to_thread(self._prices) if self._rates is not None else None
        return month.cost_check(projection, micro_usd(settings.monthly_budget_usd), self._rates, prices)

    def _prices(self) -> UnitPrices | None:
        if self._client is None:
            return None
        folder = state_folder() / "unit-prices"
        try:
            return daily_prices(folder, self._settings.dataset, self._client.unit_prices, self._clock_ns())
        except TapelineError:
            return None


async def _refusal(settings: DatabentoSettings) -> TapelineError | None:
    """Return why the gateway does not let the key in, None where it does."""
    try:
        await handshake(settings)
    except TapelineError as error:
        return error
    return None


def _month_of(at_ns: int) -> tuple[int, int]:
    """Return the begin and the end (ns) of the month (UTC) of a moment."""
    at = datetime.fromtimestamp(at_ns // 10**9, UTC)
    begin = datetime(at.year, at.month, 1, tzinfo=UTC)
    days = monthrange(at.year, at.month)[1]
    begin_ns = int(begin.timestamp()) * 10**9
    return begin_ns, begin_ns + days * 86_400 * 10**9
