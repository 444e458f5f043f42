"""What the month is expected to cost: fees, metered history, and what live data would cost were it metered. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tapeline.feed.cost import LIVE, MonthProjection
from tapeline.feed.doctor import Check
from tapeline.feed.prices import RECORD_BYTES, UnitPrices, cost_of, dollars

NAME: Final = "cost"


@dataclass(frozen=True, slots=True)
class LiveRates:
    """Records per second by schema, as measured just now, and how long (s) the market trades this month."""

    records_per_s: Mapping[str, float]
    open_s: float


def notional_month(rates: LiveRates, prices: UnitPrices) -> int | None:
    """Return micro-dollars that a month of live records at these rates would cost at list prices.

    None where the list has no price of a schema that comes.
    """
    total = 0
    for schema, rate in rates.records_per_s.items():
        price = prices.price(LIVE, schema)
        if price is None:
            return None
        total += cost_of(round(rate * rates.open_s) * RECORD_BYTES[schema], price)
    return total


def cost_check(
    month: MonthProjection, budget_micro_usd: int, rates: LiveRates | None, prices: UnitPrices | None
) -> Check:
    """Return what the month comes to; more history than the budget allows is a warning."""
    said = [
        f"{month.month}: {dollars(month.total_projected)} expected = {_fee('flat', month.flat)} +"
        f" {_fee('licence', month.licence)} + {dollars(month.metered_projected)} metered"
        f" ({dollars(month.metered)} so far; budget {dollars(budget_micro_usd)})",
        _notional(month, rates, prices),
    ]
    unset = [name for name, fee in (("FLAT", month.flat), ("LICENCE", month.licence)) if not fee]
    if unset:
        said.append(f"not set: {', '.join(f'TAPELINE_DATABENTO_{name}_USD' for name in unset)}")
    detail = "; ".join(said)
    if month.metered_projected > budget_micro_usd:
        return Check(
            NAME,
            "warning",
            f"{detail}; metered use is above the budget by the end of the month",
            "fetch less history, or raise TAPELINE_DATABENTO_MONTHLY_BUDGET_USD",
        )
    return Check(NAME, "ok", detail)


def _fee(name: str, fee: int) -> str:
    return f"{dollars(fee)} {name}"


def _notional(month: MonthProjection, rates: LiveRates | None, prices: UnitPrices | None) -> str:
    """Return what live data would cost, so labelled: under a flat plan nothing is owed for it."""
    so_far = f"notional, not owed: {dollars(month.notional)} of live data so far"
    if rates is None:
        return f"{so_far} (--live measures what comes)"
    if prices is None:
        return f"{so_far} (list prices are not known)"
    notional = notional_month(rates, prices)
    if notional is None:
        return f"{so_far} (some list prices are not known)"
    return f"{so_far}, {dollars(notional)} for a whole month at the rate measured now and list prices"
