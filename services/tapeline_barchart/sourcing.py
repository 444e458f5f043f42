"""Gets one series' chain: live, else kept, else saved, as its policy allows; what failed on the way is told with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from tapeline.errors import BadData, Refused
from tapeline.feed.barchart.page import ListedSeries
from tapeline.feed.calendar import Calendar
from tapeline.model.chains import Chain, Mode, UnderlyingPrice
from tapeline.ops import metrics
from tapeline.ops.logs import get_logger
from tapeline_barchart.errors import FetchFailed, captures_of
from tapeline_barchart.hybrid import Policy, Validity
from tapeline_barchart.kept import KeptChain, KeptChains
from tapeline_barchart.normalize import SOURCE, read_chain
from tapeline_barchart.vendor import Vendor

WITHIN_VALIDITY: Final = "a kept chain is still valid"
ANSWERED: Final = "the vendor answers"

log = get_logger("barchart.sourcing")


class SavedChains(Protocol):
    """Files of chains that were saved before."""

    def newest(self, listed: ListedSeries, now_ns: int) -> KeptChain | None:
        """Return the newest answer of a series that came before `now_ns`, None where there is none. Blocks."""


@dataclass(frozen=True, slots=True)
class Letter:
    """An answer that breaks a rule, as it came."""

    payload: bytes
    error: BadData


@dataclass(slots=True)
class Sourced:
    """What became of one series: its `chain`, if any may be published, of which `payload`, and why it is none better.

    `failures` say what was tried in vain, `letters` which answers broke a rule, `captures` which files show it.
    `valid_until_ns` is until when another call is saved, 0 where nothing was fetched; `live_error` why live failed.
    """

    chain: Chain | None = None
    payload: bytes = b""
    reason: str = ""
    failures: list[str] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    captures: tuple[str, ...] = ()
    valid_until_ns: int = 0
    live_error: Exception | None = None
    was_asked: bool = False


class Sourcing:
    """Asks a vendor, keeps what it says, and falls back.

    The price of a future serves all its series for `price_s`; None: it is not asked for. `clock_ns` gives the time in
    ns since the epoch.
    """

    def __init__(
        self,
        vendor: Vendor,
        kept: KeptChains,
        saved: SavedChains | None,
        *,
        calendar: Calendar,
        validity: Validity,
        delay_s: float,
        price_s: float | None,
        clock_ns: Callable[[], int],
    ) -> None:
        self._vendor = vendor
        self._kept = kept
        self._saved = saved
        self._calendar = calendar
        self._validity = validity
        self._delay_s = delay_s
        self._price_s = price_s
        self._prices: dict[str, tuple[int, UnderlyingPrice | None]] = {}
        """By future: until when (ns) it is not asked for again, and what it was."""
        self._clock_ns = clock_ns
        self.hits = 0
        """Calls that a valid kept chain saved."""
        self.misses = 0
        """Times that there was none."""

    async def get(self, listed: ListedSeries, policy: Policy) -> Sourced:
        """Return the best chain that may be published now. Raises Misconfigured where something must be mended."""
        sourced = Sourced()
        held = await asyncio.to_thread(self._kept.get, listed.series.vendor_series)
        valid_until_ns = 0 if held is None else self._validity.until_ns(held.fetched_at, self._calendar)
        is_valid = self._clock_ns() < valid_until_ns
        if "cache" in policy.oldest_s:
            self._count(is_hit=is_valid)
        for mode in policy.order(cache_is_valid=is_valid):
            chain = await self._try(mode, listed, policy, held, sourced)
            if chain is None:
                continue
            sourced.chain = chain
            sourced.reason = _reason(mode, sourced, is_hit=mode == "cache" and is_valid)
            if mode == "live":
                valid_until_ns = self._validity.until_ns(chain.fetched_at, self._calendar)
            if mode != "saved" and valid_until_ns > self._clock_ns():
                sourced.valid_until_ns = valid_until_ns
            break
        return sourced

    async def _try(
        self,
        mode: Mode,
        listed: ListedSeries,
        policy: Policy,
        held: KeptChain | None,
        sourced: Sourced,
    ) -> Chain | None:
        try:
            if mode == "live":
                sourced.was_asked = True
                held = await self._ask(listed)
            elif mode == "saved":
                held = await self._newest_saved(listed)
        except (FetchFailed, Refused) as error:
            sourced.live_error = error
            sourced.captures = captures_of(error)
            sourced.failures.append(f"{mode}: {error}")
            return None
        if held is None:
            sourced.failures.append(f"{mode}: there is none")
            return None
        now_ns = self._clock_ns()
        if held.series.expiry <= now_ns:
            sourced.failures.append(f"{mode}: {held.series.vendor_series} has expired")
            return None
        try:
            chain = read_chain(held, mode, now_ns, self._delay_s)
        except BadData as error:
            sourced.failures.append(f"{mode}: {type(error).__name__}: {error}")
            sourced.letters.append(Letter(held.payload, error))
            if mode == "live":
                sourced.live_error = error
            return None
        if mode == "live":
            # Before its age is judged: the policy may become another, and the chain is good.
            await asyncio.to_thread(self._kept.put, held)
        if refusal := policy.refusal(mode, chain.as_of, now_ns, self._calendar):
            sourced.failures.append(refusal)
            return None
        sourced.payload = held.payload
        return chain

    async def _ask(self, listed: ListedSeries) -> KeptChain:
        answer = await self._vendor.chain(listed)
        price = None if self._price_s is None else await self._price(listed, self._price_s)
        return KeptChain(
            series=listed.series,
            form=self._vendor.form,
            payload=answer.body,
            fetched_at=answer.received_ns,
            underlying_price=price,
            date=answer.headers.get("date", ""),
        )

    async def _newest_saved(self, listed: ListedSeries) -> KeptChain | None:
        if self._saved is None:
            return None
        return await asyncio.to_thread(self._saved.newest, listed, self._clock_ns())

    async def _price(self, listed: ListedSeries, price_s: float) -> UnderlyingPrice | None:
        future = listed.series.underlying
        until_ns, price = self._prices.get(future, (0, None))
        if self._clock_ns() < until_ns:
            return price
        try:
            price = await self._vendor.underlying_price(listed)
        except (FetchFailed, Refused) as error:
            # The chain is good without it.
            log.warning("no price of the future", future=future, reason=str(error))
            price = None
        self._prices[future] = (self._clock_ns() + round(price_s * 1e9), price)
        return price

    def _count(self, *, is_hit: bool) -> None:
        if is_hit:
            self.hits += 1
            metrics.CACHE_HITS.labels(SOURCE).inc()
        else:
            self.misses += 1
            metrics.CACHE_MISSES.labels(SOURCE).inc()


def _reason(mode: Mode, sourced: Sourced, *, is_hit: bool) -> str:
    if mode == "live":
        return ANSWERED
    if is_hit:
        return WITHIN_VALIDITY
    return "; ".join(sourced.failures) or f"the policy allows nothing before {mode}"
