"""Poll after poll over the series that are followed: lists, chains, and what is to be told of both."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from tapeline.errors import BadData, Refused
from tapeline.feed.barchart.page import ListedSeries
from tapeline.feed.calendar import Calendar
from tapeline.feed.source import Item, Standing
from tapeline.model.chains import chain_topic
from tapeline.ops import metrics
from tapeline.ops.logs import get_logger
from tapeline_barchart.errors import FetchFailed, HeldOff, captures_of
from tapeline_barchart.following import Follow, followed, unlisted
from tapeline_barchart.hybrid import Policies
from tapeline_barchart.kept import KeptChains, KeptList
from tapeline_barchart.messages import NOTHING, Beats, Events, chain_message, dead_letter
from tapeline_barchart.normalize import SOURCE
from tapeline_barchart.polling import Intervals
from tapeline_barchart.sourcing import WITHIN_VALIDITY, Sourced, Sourcing
from tapeline_barchart.vendor import Vendor

_LONGEST_WAIT_S: Final = 5.0
"""A clock that was set, or a computer that slept, is noticed after so long."""
_DAY_NS: Final = 86_400 * 10**9

Put = Callable[[Item], Awaitable[None]]

log = get_logger("barchart.rounds")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is followed, by whose hours, and how often. The list of series is read anew every `list_s`."""

    products: Sequence[str]
    follow: Follow
    policies: Policies
    calendar: Calendar
    intervals: Intervals
    list_s: float
    market_hours_only: bool


@dataclass(slots=True)
class Product:
    """A product that is followed: its list of series, and whether the vendor answered the last call."""

    name: str
    beats: Beats = field(default_factory=Beats)
    listed: tuple[ListedSeries, ...] = ()
    list_due_ns: int = 0
    is_connected: bool = False


@dataclass(slots=True)
class _Followed:
    """A series that is followed: when it is due, and what of it is on the tape."""

    due_ns: int = 0
    mode: str = NOTHING
    fetched_at: int | None = None
    fault: str = ""


class Rounds:
    """Asks again and again. `clock_ns` gives the time in ns since the epoch."""

    def __init__(
        self,
        plan: Plan,
        vendor: Vendor,
        sourcing: Sourcing,
        kept: KeptChains,
        events: Events,
        clock_ns: Callable[[], int],
    ) -> None:
        self.products = [Product(name) for name in plan.products]
        self._plan = plan
        self._vendor = vendor
        self._sourcing = sourcing
        self._kept = kept
        self._events = events
        self._clock_ns = clock_ns
        self._followed: dict[str, _Followed] = {}
        self._refused: Refused | None = None

    async def run(self, put: Put) -> None:
        """Poll until the market's hours end, where they are kept to, else for ever; hand everything to `put`.

        Raises Misconfigured where something must be mended, Refused where the vendor says no for good and nothing else
        can be published.
        """
        while not self._plan.market_hours_only or self._plan.calendar.is_open(self._clock_ns()):
            rest_s = (self._next_ns() - self._clock_ns()) / 1e9
            if rest_s > 0:
                await asyncio.sleep(min(rest_s, _LONGEST_WAIT_S))
            else:
                await self._round(put)

    async def _round(self, put: Put) -> None:
        alive: set[str] = set()
        for product in self.products:
            if self._clock_ns() >= product.list_due_ns:
                await self._read_list(product, put)
            for listed in followed(product.listed, self._plan.follow, self._clock_ns()):
                name = listed.series.vendor_series
                alive.add(name)
                state = self._followed.setdefault(name, _Followed())
                if self._clock_ns() >= state.due_ns:
                    await self._poll(product, listed, state, put)
        for name in self._followed.keys() - alive:
            await self._change(
                name, self._followed.pop(name), NOTHING, "it has expired, or is not followed any more", put
            )
        await put(self._standing())

    def _standing(self) -> Standing:
        """Return whether anything is delivered. Raises Refused where nothing is, and nothing will be."""
        faults = [f"{name}: {state.fault}" for name, state in sorted(self._followed.items()) if state.fault]
        delivers = any(state.mode != NOTHING for state in self._followed.values())
        if not delivers and self._refused is not None:
            raise self._refused
        return Standing(delivers, "; ".join(faults) if self._followed else "there is no list of series")

    def _next_ns(self) -> int:
        lists = [product.list_due_ns for product in self.products]
        return min(lists + [state.due_ns for state in self._followed.values()])

    async def _read_list(self, product: Product, put: Put) -> None:
        """Take over the vendor's list of series, or the one that was kept where it cannot be had."""
        began_ns = self._clock_ns()
        kept = await asyncio.to_thread(self._kept.get_list, product.name)
        if kept is not None and not product.listed:
            product.listed = kept.series
            product.list_due_ns = self._list_due_ns(kept)
            if began_ns < product.list_due_ns:
                return
        if not self._plan.policies.allow_live(product.name):
            product.list_due_ns = self._plan.intervals.next_ns(began_ns, self._plan.calendar)
            return
        try:
            listing = await self._vendor.listing(product.name)
        except (FetchFailed, Refused, BadData) as error:
            rest_s = error.rest_s if isinstance(error, HeldOff) else 0.0
            product.list_due_ns = self._plan.intervals.next_ns(
                began_ns, self._plan.calendar, has_failed=True, rest_s=rest_s
            )
            await self._tell_failure(product, product.name, f"the list of series: {error}", error, put)
            return
        await self._tell_connected(product, put)
        for words in listing.unresolved:
            log.warning("not followed", series=words)
        new = KeptList(self._clock_ns(), listing.series)
        await asyncio.to_thread(self._kept.put_list, product.name, new)
        await asyncio.to_thread(self._kept.forget_expired, began_ns - _DAY_NS)
        product.listed = new.series
        product.list_due_ns = self._list_due_ns(new)
        if missing := unlisted(new.series, self._plan.follow):
            reason = f"the vendor does not list {', '.join(missing)}"
            await put(self._events.fetch_failed(product.name, reason, (), self._clock_ns()))

    def _list_due_ns(self, kept: KeptList) -> int:
        """Return when a list is read anew: once it is old, a series has expired, or one that is wanted is missing."""
        due_ns = kept.read_at + round(self._plan.list_s * 1e9)
        if unlisted(kept.series, self._plan.follow):
            due_ns = min(due_ns, self._plan.intervals.next_ns(kept.read_at, self._plan.calendar))
        expiries = (each.series.expiry for each in kept.series if each.series.expiry > kept.read_at)
        return min(due_ns, min(expiries, default=due_ns))

    async def _poll(self, product: Product, listed: ListedSeries, state: _Followed, put: Put) -> None:
        began_ns = self._clock_ns()
        name = listed.series.vendor_series
        sourced = await self._sourcing.get(listed, self._plan.policies.of(product.name, name))
        for letter in sourced.letters:
            await self._set_aside(name, letter.payload, letter.error, put)
        if sourced.live_error is not None:
            await self._tell_failure(product, name, "; ".join(sourced.failures), sourced.live_error, put)
        elif sourced.was_asked:
            await self._tell_connected(product, put)
        await self._publish(product, name, state, sourced, put)
        state.due_ns = self._plan.intervals.next_ns(
            began_ns,
            self._plan.calendar,
            valid_until_ns=sourced.valid_until_ns,
            has_failed=sourced.live_error is not None,
            rest_s=sourced.live_error.rest_s if isinstance(sourced.live_error, HeldOff) else 0.0,
        )

    async def _publish(self, product: Product, name: str, state: _Followed, sourced: Sourced, put: Put) -> None:
        chain = sourced.chain
        if chain is None:
            state.fault = "; ".join(sourced.failures) or "no mode is allowed by the policy"
            if sourced.live_error is None:
                await put(self._events.fetch_failed(name, state.fault, (), self._clock_ns()))
            await self._change(name, state, NOTHING, state.fault, put)
            return
        state.fault = ""
        is_told = chain.fetched_at == state.fetched_at and (
            sourced.reason == WITHIN_VALIDITY or chain.mode == state.mode
        )
        if is_told and state.mode != NOTHING:
            return
        try:
            message = chain_message(chain)
        except BadData as error:
            await self._set_aside(name, sourced.payload, error, put)
            return
        await put(message)
        metrics.CHAINS.labels(SOURCE, chain.mode).inc()
        product.beats.note(chain)
        state.fetched_at = chain.fetched_at
        await self._change(name, state, chain.mode, sourced.reason, put)

    async def _set_aside(self, name: str, payload: bytes, error: BadData, put: Put) -> None:
        metrics.DEAD_LETTERS.labels(chain_topic(SOURCE)).inc()
        await put(dead_letter(name, payload, error))

    async def _change(self, name: str, state: _Followed, mode: str, reason: str, put: Put) -> None:
        was, state.mode = state.mode, mode
        if was != mode:
            await put(self._events.source_changed(name, was, mode, reason, self._clock_ns()))

    async def _tell_connected(self, product: Product, put: Put) -> None:
        if not product.is_connected:
            product.is_connected = True
            await put(self._events.connected(product.name, self._clock_ns()))

    async def _tell_failure(self, product: Product, name: str, reason: str, error: Exception, put: Put) -> None:
        now_ns = self._clock_ns()
        log.warning("not fetched", stream=name, reason=reason)
        metrics.FAILED_FETCHES.labels(SOURCE, type(error).__name__).inc()
        await put(self._events.fetch_failed(name, reason, captures_of(error), now_ns))
        if isinstance(error, Refused):
            self._refused = error
        if product.is_connected and not isinstance(error, BadData):
            product.is_connected = False
            await put(self._events.disconnected(product.name, reason, now_ns))
