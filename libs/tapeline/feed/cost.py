"""The cost meter: what a fetch will cost, whether it may, what was used, and what the month will come to."""

from __future__ import annotations

import threading
from calendar import monthrange
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from tapeline.errors import Misconfigured
from tapeline.feed.ledger import UsageLedger
from tapeline.feed.prices import GIB, UnitPrices, dollars, record_bytes
from tapeline.feed.source import Announcement
from tapeline.model.usage import TOPIC, SchemaUse, Usage, day_of, encode_usage

LIVE: Final = "live"
"""The mode of the price list that live records come under."""


class OverCap(Misconfigured):
    """A fetch would cost more than its user allows; nothing was fetched for it."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a vendor says, beforehand, that a fetch comes to: bytes are billed ones, not compressed."""

    cost_micro_usd: int = 0
    bytes: int = 0
    records: int = 0

    def __add__(self, other: Estimate) -> Estimate:
        return Estimate(
            self.cost_micro_usd + other.cost_micro_usd, self.bytes + other.bytes, self.records + other.records
        )

    def cost_of(self, bytes_: int) -> int:
        """Return what `bytes_` of it cost in micro-dollars, rounded up: as the whole does, discounts included."""
        return -(-bytes_ * self.cost_micro_usd // self.bytes) if self.bytes else 0


@dataclass(frozen=True, slots=True)
class Cap:
    """A limit in micro-dollars, of which `spent_micro_usd` are gone; `remedy` says how a user raises it."""

    name: str
    limit_micro_usd: int
    remedy: str
    spent_micro_usd: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a source costs each month whatever is used, in micro-dollars."""

    flat_micro_usd: int = 0
    licence_micro_usd: int = 0


@dataclass(frozen=True, slots=True)
class MonthProjection:
    """What a month costs, in micro-dollars: fees, what was metered so far, and where that leads by its end."""

    month: str
    flat: int
    licence: int
    metered: int
    metered_projected: int
    notional: int
    """What flat use would have cost, had it been metered; nothing is owed for it."""
    saved: int

    @property
    def total_projected(self) -> int:
        """Fees and metered use by the end of the month."""
        return self.flat + self.licence + self.metered_projected


def check_caps(estimate: Estimate, caps: Iterable[Cap]) -> None:
    """Raise OverCap that names estimate, cap and remedy where the estimate is more than a cap leaves.

    What costs nothing may always be had.
    """
    for cap in caps:
        if not estimate.cost_micro_usd or cap.spent_micro_usd + estimate.cost_micro_usd <= cap.limit_micro_usd:
            continue
        spent = f" of which {dollars(cap.spent_micro_usd)} are spent" if cap.spent_micro_usd else ""
        raise OverCap(
            f"the estimate is {dollars(estimate.cost_micro_usd)} for {estimate.records:,} records "
            f"({estimate.bytes / GIB:.3g} GiB); the {cap.name} is {dollars(cap.limit_micro_usd)}{spent}. "
            f"Nothing was fetched. Ask for less, or {cap.remedy}"
        )


def by_months_end(micro_usd: int, today: date) -> int:
    """Return what an amount of the month so far comes to by its end, at the rate of its days, `today` counted whole."""
    return micro_usd * monthrange(today.year, today.month)[1] // today.day


def project_month(usages: Iterable[Usage], plan: Plan, at_ns: int) -> MonthProjection:
    """Return what the month (UTC) of `at_ns` costs, for one source.

    Metered use goes on at the rate of the days so far, the present one counted whole.
    """
    today = date.fromisoformat(day_of(at_ns))
    month = today.isoformat()[:7]
    of_month = [usage for usage in usages if usage.day.startswith(month)]
    metered = sum(usage.cost_micro_usd for usage in of_month if usage.line == "metered")
    return MonthProjection(
        month=month,
        flat=plan.flat_micro_usd,
        licence=plan.licence_micro_usd,
        metered=metered,
        metered_projected=by_months_end(metered, today),
        notional=sum(usage.cost_micro_usd for usage in of_month if usage.notional),
        saved=sum(usage.saved_micro_usd for usage in of_month),
    )


def spent_in_month(ledger: UsageLedger, source: str, at_ns: int) -> int:
    """Return the metered micro-dollars of a source in the month (UTC) of `at_ns`, up to the end of that day."""
    today = day_of(at_ns)
    month = ledger.usages(f"{today[:7]}-01", today, source)
    return sum(usage.cost_micro_usd for usage in month if usage.line == "metered")


class CostMeter:
    """Counts what one dataset of a source costs, and gives the rows of md.usage.v1 to publish.

    Live records come under a flat plan: their cost is notional. What is fetched is metered. The ledger keeps both.
    """

    def __init__(
        self, source: str, dataset: str, ledger: UsageLedger, plan: Plan, prices: UnitPrices | None = None
    ) -> None:
        self._source = source
        self._dataset = dataset
        self._ledger = ledger
        self._plan = plan
        self.prices = prices
        """The list prices; None where they are not known, and then no cost of live records is."""
        self.fetched_micro_usd = 0
        """What `fetched` was told so far."""
        self._live: Counter[str] = Counter()
        self._counting = threading.Lock()

    def metered(self, records: Mapping[str, int]) -> None:
        """Count live records by schema. Only adds up in memory, so it may be called for every batch."""
        with self._counting:
            self._live.update(records)

    def fetched(self, schema: str, bytes_: int, cost_micro_usd: int, at_ns: int, mode: str) -> None:
        """Keep what one request of history brought and cost, at once: the budget is held to it."""
        self.fetched_micro_usd += cost_micro_usd
        price = None if self.prices is None else self.prices.price(mode, schema)
        use = SchemaUse(bytes_, price, cost_micro_usd)
        self._ledger.add(self._source, "metered", day_of(at_ns), requests=1, uses={f"{self._dataset}/{schema}": use})

    def keep(self, at_ns: int) -> None:
        """Put the live records counted since the last call to the account of that day; writes to the disk."""
        today = day_of(at_ns)
        with self._counting:
            counted, self._live = self._live, Counter()
        uses = {
            f"{self._dataset}/{schema}": SchemaUse(
                count * record_bytes(schema), None if self.prices is None else self.prices.price(LIVE, schema), None
            )
            for schema, count in counted.items()
        }
        try:
            self._ledger.add(self._source, "licence", today, fee_micro_usd_per_month=self._plan.licence_micro_usd)
            self._ledger.add(self._source, "flat", today, fee_micro_usd_per_month=self._plan.flat_micro_usd, uses=uses)
        except BaseException:
            with self._counting:
                self._live.update(counted)
            raise

    def announcements(self, at_ns: int) -> list[Announcement]:
        """Keep what was counted, and return the rows of the plan's lines for the day of `at_ns` and the day before.

        Call it every minute or so. Writes to the disk.
        """
        self.keep(at_ns)
        rows = self._ledger.usages(day_of(at_ns, -1), day_of(at_ns), self._source)
        return [announcement(usage) for usage in rows if usage.line != "metered"]


def announcement(usage: Usage) -> Announcement:
    """Return a row as a message of md.usage.v1."""
    return Announcement(TOPIC, usage.key, encode_usage(usage))
