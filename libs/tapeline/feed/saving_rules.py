"""Ways to pay less for the same data, each with what it would have saved by the ledger's own figures. Pure.

Every rule takes what it saves from the account, and says what is missing where figures are not there.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final

from tapeline.feed.calendar import calendar_of
from tapeline.feed.cost_account import Account, Advice, Choices, Finding, Item, Missing, counted, item_of
from tapeline.feed.prices import dollars
from tapeline.model.backfill import BackfillEvent
from tapeline.model.control import Interval

_DAY_NS: Final = 86_400_000_000_000
_HOUR_NS: Final = 3_600_000_000_000


def replay_instead(account: Account, choices: Choices) -> Iterator[Finding]:
    """Tell of windows that were bought as history while the live plan still replayed them without a charge."""
    for source, reach_ns in sorted(choices.replay_ns.items()):
        young = [event for event in account.paid if event.request.source == source and _is_young(event, reach_ns)]
        saves = sum(account.save(item_of(event), event.cost_micro_usd or 0) for event in young)
        if saves:
            account.needed[source].update(item_of(event).name.rpartition("/")[2] for event in young)
            account.paid = [event for event in account.paid if event not in young]
            hours = f"{reach_ns / _HOUR_NS:g} hours"
            yield Advice(
                f"{source}: take what is younger than {hours} from the live replay, which the plan includes",
                f"metered history was bought for {counted(len(young), 'window')} within that time",
                saves,
            )


def cache_instead(account: Account, choices: Choices) -> Iterator[Finding]:
    """Tell of windows that were bought again: hits that a cache, or one cache for all machines, would have had."""
    bought: dict[tuple[object, ...], list[Interval]] = {}
    again: dict[str, list[BackfillEvent]] = {}
    for event in account.paid:
        request = event.request
        before = bought.setdefault((item_of(event), request.stream, tuple(sorted(request.symbols))), [])
        if _covers(before, request.window):
            again.setdefault(request.source, []).append(event)
        before.append(request.window)
    for source, events in sorted(again.items()):
        saves = sum(account.save(item_of(event), event.cost_micro_usd or 0) for event in events)
        if saves:
            yield Advice(
                f"{source}: let all machines fetch history by one cache (TAPELINE_CACHE_DIR)",
                f"{counted(len(events), 'window')} had been bought before in this month, whole",
                saves,
            )
    for source in sorted(choices.replay_ns):
        known = sum(event.cost_micro_usd or 0 for event in account.paid if event.request.source == source)
        left = sum(
            micro
            for item, micro in account.left.items()
            if item.source == source and not choices.streamed.keys() & {item.source, str(item)}
        )
        if left > known:
            yield Missing(
                f"{source}: of {dollars(left)} of metered use {dollars(left - known)} was fetched by no backfill, so"
                " its windows are not known: whether replay or a cache had them cannot be said"
            )


def market_hours_only(account: Account, choices: Choices) -> Iterator[Finding]:
    """Tell what metered streams cost while their market is closed.

    The rate of a closed hour is measured on the days that are closed whole; no other day is thought to have cost more
    than it did.
    """
    for what, dataset in sorted(choices.streamed.items()):
        for item in [item for item in account.left if what in (str(item), item.source)]:
            days = account.days[item]
            closed_ns = {day: _closed_ns(day, dataset, account.at_ns) for day in _span(min(days), max(days))}
            whole = [day for day, closed in closed_ns.items() if closed == _DAY_NS]
            if not whole:
                yield Missing(f"{item}: no day yet on which {dataset} is closed whole, to see what a closed hour costs")
                continue
            on_closed = sum(days.get(day, 0) for day in whole)
            wasted = sum(
                cost if day in whole else min(cost, closed_ns[day] * on_closed // (len(whole) * _DAY_NS))
                for day, cost in days.items()
            )
            saves = account.save(item, wasted)
            if saves:
                hours = sum(closed_ns[day] for day, cost in days.items() if cost) / _HOUR_NS
                yield Advice(
                    f"{item}: stream only while {dataset} trades",
                    f"{counted(len(whole), 'day')} on which it was closed cost {dollars(on_closed)}; at that rate"
                    f" {dollars(wasted)} went to {hours:,.0f} closed hours of this month",
                    saves,
                )


def unpriced(account: Account, choices: Choices) -> Iterator[Finding]:
    """Tell of metered use whose cost nobody knows, so that it is in no sum."""
    names = {
        Item(row.source, name)
        for row in account.rows
        if row.line == "metered"
        for name, use in row.schemas.items()
        if use.cost_micro_usd is None and use.bytes
    }
    for item in sorted(names):
        yield Missing(f"{item}: the cost of metered use; it is in no sum")


def _is_young(event: BackfillEvent, reach_ns: int) -> bool:
    return event.request.window.ts_event_from >= event.request.requested_at - reach_ns


def _covers(parts: list[Interval], whole: Interval) -> bool:
    """Return whether `whole` lies within the parts together."""
    reached = whole.ts_event_from
    for part in sorted(parts, key=lambda part: part.ts_event_from):
        if part.ts_event_from > reached:
            break
        reached = max(reached, part.ts_event_until)
    return reached >= whole.ts_event_until


def _closed_ns(day: str, dataset: str, at_ns: int) -> int:
    """Return for how long (ns) the market was closed on a day (UTC), up to and with `at_ns`."""
    begin_ns = int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 1_000_000_000
    end_ns = max(begin_ns, min(begin_ns + _DAY_NS, at_ns + 1))
    return end_ns - begin_ns - calendar_of(dataset).open_ns(begin_ns, end_ns)


def _span(first: str, last: str) -> Iterator[str]:
    day = date.fromisoformat(first)
    while day <= date.fromisoformat(last):
        yield day.isoformat()
        day += timedelta(days=1)
