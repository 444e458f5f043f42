"""Ways to pay less by choosing differently, as far as the settings say what would do. Pure; as saving_rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tapeline.feed.cost_account import Account, Advice, Choices, Finding, Item, Missing, OfferedPlan, counted
from tapeline.feed.prices import GIB, dollars

_LEAST_DAYS: Final = 7
"""So many days of a source must be in the ledger before its plan is judged by what it was used for."""


def cheaper_sources(account: Account, choices: Choices) -> Iterator[Finding]:
    """Tell of metered use that is not critical, and that another source has within its plan."""
    for what, source in sorted(choices.cheaper_sources.items()):
        item = _item(account, what)
        if item is None:
            continue
        if (source, "flat") not in account.fees:
            yield Missing(f"{item}: what it would cost at {source}, which has no plan in the ledger of this month")
            continue
        spent = account.left[item]
        saves = account.save(item, spent)
        if saves:
            account.needed[source].add(item.name.rpartition("/")[2])
            yield Advice(
                f"{item}: take it from {source}",
                f"it is not critical; {dollars(spent)} of it was metered this month, and the plan of {source} is paid",
                saves,
            )


def cheaper_schemas(account: Account, choices: Choices) -> Iterator[Finding]:
    """Tell of metered schemas in whose place a smaller one would do, by the bytes of both and by the prices."""
    for what, schema in sorted(choices.cheaper_schemas.items()):
        item = _item(account, what)
        if item is None:
            continue
        instead = f"{item.name.rpartition('/')[0]}/{schema}"
        dear, cheap = _bytes_of_both(account, item, instead)
        price = _price(account, item.source, instead)
        if not dear:
            yield Missing(f"{item}: no day on which it came together with {schema}, to compare their bytes")
        if price is None:
            yield Missing(f"{item}: the metered price of {schema}")
        if not dear or price is None:
            continue
        left, cost = account.left[item], sum(account.days[item].values())
        bought = sum(
            row.schemas[item.name].bytes
            for row in account.rows
            if (row.source, row.line) == (item.source, "metered") and item.name in row.schemas
        )
        # Bytes of what is still bought, as a fraction; rounded up once, where it becomes money.
        dividend, divisor = bought * left * cheap * price, cost * dear * GIB
        would_cost = -(-dividend // divisor)
        saves = account.save(item, max(0, left - would_cost))
        if saves:
            yield Advice(
                f"{item}: fetch {schema} instead",
                f"where both came it had {cheap / dear:.2%} of the bytes; at {dollars(price)} per GiB"
                f" {dollars(left)} of this month would have been {dollars(would_cost)}",
                saves,
            )


def smaller_plans(account: Account, choices: Choices) -> Iterator[Finding]:
    """Tell of plans that cost less and include all that was used, and of plans that nothing was used of."""
    for source, fee in sorted((source, fee) for (source, line), fee in account.fees.items() if line == "flat" and fee):
        rows = [usage for usage in account.usages if (usage.source, usage.line) == (source, "flat")]
        days = len({usage.day for usage in rows})
        if days < _LEAST_DAYS:
            yield Missing(f"{source}: {counted(days, 'day')} of its use; a plan is judged by {_LEAST_DAYS} or more")
            continue
        used = {name.rpartition("/")[2] for usage in rows for name, use in usage.schemas.items() if use.bytes}
        used |= account.needed[source]
        offered = [plan for plan in choices.plans if plan.source == source]
        if not used and not any(usage.requests for usage in rows) and not any(i.source == source for i in account.days):
            yield Advice(f"{source}: end the plan", f"nothing came of it on {days} days", fee)
        elif not offered:
            yield Missing(
                f"{source}: which plans there are; name them in TAPELINE_COSTS_PLANS to look for a smaller one"
            )
        else:
            yield from _smallest(offered, used, source, fee)


def _smallest(offered: list[OfferedPlan], used: set[str], source: str, fee: int) -> Iterator[Finding]:
    enough = [plan for plan in offered if plan.includes(used) and plan.fee_micro_usd < fee]
    if enough:
        plan = min(enough, key=lambda plan: (plan.fee_micro_usd, plan.name))
        yield Advice(
            f"{source}: change to the plan {plan.name}",
            f"it includes all that is used ({', '.join(sorted(used)) or 'nothing by schema'}) for"
            f" {dollars(plan.fee_micro_usd)} a month instead of {dollars(fee)}",
            fee - plan.fee_micro_usd,
        )


def _item(account: Account, what: str) -> Item | None:
    """Return the item of that name that something is left of."""
    return next((item for item, left in account.left.items() if str(item) == what and left), None)


def _bytes_of_both(account: Account, item: Item, instead: str) -> tuple[int, int]:
    """Return the bytes of an item and of another schema, of the rows that have both: same meter, line and day."""
    pairs = [
        (row.schemas[item.name].bytes, row.schemas[instead].bytes)
        for row in account.usages
        if row.source == item.source and item.name in row.schemas and instead in row.schemas
    ]
    both = [pair for pair in pairs if all(pair)]
    return sum(dear for dear, _ in both), sum(cheap for _, cheap in both)


def _price(account: Account, source: str, name: str) -> int | None:
    """Return the newest metered price of a schema, micro-dollars per GiB; of two of one day the higher one."""
    prices = [
        (row.day, row.schemas[name].price_micro_usd_per_gib or 0)
        for row in account.usages
        if (row.source, row.line) == (source, "metered") and name in row.schemas
    ]
    return max(prices)[1] or None if prices else None
