"""What faults do to the rows of a chain and to the answer that is made of them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

from tapeline_simulator.barchart.faults import SiteFault
from tapeline_simulator.barchart.market import MarketView, OptionRow
from tapeline_simulator.barchart.payload import Document
from tapeline_simulator.barchart.symbols import chicago

_OFF_GRID: Final = Decimal("0.13")
_DROPPED_ONE_IN: Final = 3
_UNCOUNTED_ONE_IN: Final = 7


def view_under(fault: SiteFault | None, view: MarketView) -> MarketView:
    """Return the moment that is shown: a stale one is that at which the fault began."""
    return fault.view if fault is not None and fault.name == "stale" else view


def rows_under(fault: SiteFault | None, view: MarketView, series: str) -> list[OptionRow]:
    """Return the rows that are shown of a series."""
    rows = view.rows(series)
    if fault is None:
        return rows
    if fault.name == "empty-chain":
        return []
    if fault.name == "wrong-symbol":
        other = next((each.symbol for each in view.series if each.symbol != series), series)
        return view.rows(other)
    if fault.name == "expired-chain":
        return expired(rows, view)
    if fault.name == "partial-chain":
        return _part(rows, fault["what"])
    return rows


def expired(rows: Sequence[OptionRow], view: MarketView) -> list[OptionRow]:
    """Return rows as they are after the expiry: no quotes, settled at what an exercise brings, off the tick grid."""
    level = (view.futures[0].quote.last or Decimal(0)) + _OFF_GRID
    day = f"{chicago(view.at_ns):%m/%d/%y}"
    return [_settled(row, level, day, view.at_ns // 10**9) for row in rows]


def distort(fault: SiteFault | None, answer: Document, total: int) -> Document:
    """Return the answer with what a fault does to it; `total` is what there would be without the fault."""
    if fault is None:
        return answer
    if fault.name == "partial-chain" and fault["what"] == "total":
        return {**answer, "total": total}
    if fault.name == "schema-drift":
        for document in _documents(answer["data"]):
            _drift(document, fault["what"], fault["field"])
    return answer


def _settled(row: OptionRow, level: Decimal, day: str, at_s: int) -> OptionRow:
    quote = replace(row.quote, bid=None, ask=None)
    value = level - row.strike_points if row.is_call else row.strike_points - level
    if value <= 0:
        return replace(row, quote=quote)
    before = quote.last or value
    settled = replace(
        quote,
        high=max(value, quote.high or value),
        low=min(value, quote.low or value),
        last=value,
        is_settlement=True,
        change=value - before,
        trade_time=day,
        traded_s=at_s,
    )
    return replace(row, quote=settled)


def _part(rows: Sequence[OptionRow], what: str) -> list[OptionRow]:
    if what == "side":
        return [row for row in rows if row.is_call]
    if what == "strikes":
        return [row for position, row in enumerate(rows) if not row.is_call or position % _DROPPED_ONE_IN]
    return [row for position, row in enumerate(rows) if position % _UNCOUNTED_ONE_IN]


def _documents(data: Document | list[Document]) -> Iterator[Document]:
    for rows in data.values() if isinstance(data, dict) else [data]:
        yield from rows


def _drift(document: Document, what: str, field: str) -> None:
    raw: Document = document.get("raw", {})
    if what == "extra":
        document["bidSize"] = "5"
        raw["bidSize"] = 5
    elif what == "type":
        if field in document and field in raw:
            document[field], raw[field] = raw[field], document[field]
    else:
        for each in (document, raw):
            if field in each:
                _rename(each, field, f"{field}New") if what == "renamed" else each.pop(field)


def _rename(document: dict[str, Any], field: str, name: str) -> None:
    renamed = {name if key == field else key: value for key, value in document.items()}
    document.clear()
    document.update(renamed)
