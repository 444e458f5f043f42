"""A month of usage rows as three meters would have written them: $280.00, of which not all was needed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from tapeline.feed.budget import Budgets
from tapeline.feed.cost_account import Choices, OfferedPlan
from tapeline.feed.prices import GIB
from tapeline.model.backfill import BackfillEvent, BackfillRequest, request_id
from tapeline.model.columns import TickKind
from tapeline.model.control import Interval
from tapeline.model.usage import Line, SchemaUse, Usage

USD: Final = 1_000_000
HOUR_NS: Final = 3_600_000_000_000
MBO, TRADES, STATISTICS = "GLBX.MDP3/mbo", "GLBX.MDP3/trades", "GLBX.MDP3/statistics"
QUOTES: Final = "barchart/quotes"
MONTH: Final = "2026-11"
DAYS: Final = [f"{MONTH}-{day:02}" for day in range(1, 31)]
END_NS: Final = int(datetime(2026, 12, 1, tzinfo=UTC).timestamp()) * 10**9 - 1

BUDGETS: Final = Budgets(200 * USD, {"databento": 260 * USD, "barchart": 35 * USD})
CHOICES: Final = Choices(
    replay_ns={"databento": 24 * HOUR_NS},
    streamed={"barchart/barchart/quotes": "GLBX.MDP3"},
    cheaper_schemas={f"databento/{MBO}": "trades"},
    cheaper_sources={f"databento/{STATISTICS}": "barchart"},
    plans=(
        OfferedPlan("databento", "Standard", 179 * USD, frozenset({"*"})),
        OfferedPlan("barchart", "Chains", 3 * USD, frozenset({"option-chain"})),
        OfferedPlan("barchart", "Basic", 8 * USD, frozenset({"option-chain", "statistics"})),
    ),
)


def row(source: str, line: Line, day: str, meter: str = "one", **fields: Any) -> Usage:
    return Usage(source=source, line=line, day=day, meter=meter, notional=line == "flat", **fields)


def metered(day: str, name: str, cost: int, price: int, *, source: str = "databento", **fields: Any) -> Usage:
    uses = {name: SchemaUse(cost * GIB // price, price, cost)}
    return row(source, "metered", day, schemas=uses, **fields)


def bought(
    requested: str,
    begin: str,
    end: str,
    cost: int,
    *,
    kind: TickKind = "mbo",
    back_end: str = "historical",
    source: str = "databento",
    proven: str | None = None,
) -> BackfillEvent:
    """A backfill that was asked for and paid for at `requested`, and `proven` then or later. ISO 8601, UTC."""
    window = Interval(ts_event_from=_ns(begin), ts_event_until=_ns(end))
    dataset, stream, symbols = "GLBX.MDP3", "GLBX.MDP3/NQ.FUT", ("*",)
    request = BackfillRequest(
        id=request_id(source, dataset, stream, kind, symbols, window),
        source=source,
        dataset=dataset,
        stream=stream,
        kind=kind,
        symbols=symbols,
        window=window,
        requested_by="test",
        requested_at=_ns(requested),
    )
    return BackfillEvent.model_validate(
        {
            "type": "proven",
            "request": request,
            "at": _ns(proven or requested),
            "back_end": back_end,
            "cost_micro_usd": cost,
        }
    )


def the_month(month: str = MONTH) -> tuple[list[Usage], list[BackfillEvent]]:
    """$179.00 the plan of Databento, $20.00 that of Barchart, $15.00 quotes by call, $66.00 history: $280.00."""
    usages = []
    for day in (f"{month}-{number:02}" for number in range(1, 31)):
        # Live mbo beside its trades, a 64th of the bytes: notional.
        live = {MBO: SchemaUse(64 << 20, 1_200_000, 75_000), TRADES: SchemaUse(1 << 20, 24_000_000, 23_438)}
        usages.append(row("databento", "flat", day, fee_micro_usd_per_month=179 * USD, schemas=live))
        chains = {"barchart/option-chain": SchemaUse(9_000_000, None, None)}
        counts = {"requests": 300, "cache_hits": 700, "cache_misses": 300}
        usages.append(row("barchart", "flat", day, fee_micro_usd_per_month=20 * USD, schemas=chains, **counts))
        # Polled around the clock, also while the market is closed.
        quotes = {QUOTES: SchemaUse(2_880_000, None, USD // 2)}
        usages.append(row("barchart", "metered", day, requests=2_880, schemas=quotes))
    young = [
        bought(f"{month}-{day:02}T20:00", f"{month}-{day:02}T14:00", f"{month}-{day:02}T18:00", 4 * USD)
        for day in (2, 3, 4, 5, 6, 9, 10, 11, 12)
    ]
    usages += [metered(f"{month}-{day:02}", MBO, 4 * USD, USD) for day in (2, 3, 4, 5, 6, 9, 10, 11, 12)]
    once = bought(f"{month}-17T09:00", f"{month}-13T00:00", f"{month}-14T00:00", 5_750_000)
    again = [
        bought(f"{month}-17T10:00", f"{month}-13T00:00", f"{month}-13T23:00", 5_500_000),
        bought(f"{month}-18T10:00", f"{month}-13T01:00", f"{month}-14T00:00", 5_500_000),
        bought(f"{month}-19T10:00", f"{month}-13T01:00", f"{month}-13T22:00", 5_000_000),
    ]
    usages += [
        metered(f"{month}-17", MBO, 11_250_000, USD, requests=2, cache_misses=2),
        metered(f"{month}-18", MBO, 5_500_000, USD, requests=1, cache_misses=1),
        metered(f"{month}-19", MBO, 5_000_000, USD, requests=1, cache_misses=1, cache_hits=4, saved_micro_usd=9 * USD),
        metered(f"{month}-20", STATISTICS, 8 * USD, USD // 2, requests=16, cache_misses=16),
        metered(f"{month}-21", TRADES, USD // 4, 20 * USD, requests=1, cache_misses=1),
    ]
    return usages, [*young, *again, once]


def _ns(at: str) -> int:
    return int(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()) * 10**9
