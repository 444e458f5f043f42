"""The answer of ``core-api/v1/quotes/get``: which fields of which rows, in which groups and which order. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from tapeline_simulator.barchart.formats import (
    FIELD_TEXTS,
    FUTURE_FIELDS,
    OPTION_FIELDS,
    Cell,
    future_cell,
    option_cell,
)
from tapeline_simulator.barchart.market import FutureRow, OptionRow

Document = dict[str, Any]

CHAIN_FIELDS: Final = (
    "strike",
    "openPrice",
    "highPrice",
    "lowPrice",
    "lastPrice",
    "priceChange",
    "bidPrice",
    "askPrice",
    "volume",
    "openInterest",
    "premium",
    "tradeTime",
    "longSymbol",
    "optionType",
    "symbol",
    "symbolCode",
    "symbolType",
)
"""What is answered where no fields are asked for."""
_QUOTE_FIELDS: Final = ["symbol", "symbolName", "lastPrice", "priceChange", "tradeTime"]
_META: Final = {"field.shortName": "short_name", "field.description": "description", "field.type": "type"}
_GROUPS: Final = {"optionType": "optionType", "strikePrice": "strikePrice"}


@dataclass(frozen=True, slots=True)
class Question:
    """What a call asks for; fields and groups that the vendor does not know are not answered."""

    fields: tuple[str, ...] = ()
    group_by: str = ""
    order_by: str = ""
    is_descending: bool = False
    with_raw: bool = False
    meta: tuple[str, ...] = ()
    limit: int | None = None

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Question:
        """Return the question that the parameters of an address ask."""
        limit = query.get("limit", "")
        return cls(
            fields=_names(query.get("fields", "")),
            group_by=query.get("groupBy", ""),
            order_by=query.get("orderBy", ""),
            is_descending=query.get("orderDir", "asc") == "desc",
            with_raw=query.get("raw") == "1",
            meta=_names(query.get("meta", "")),
            limit=int(limit) if limit.isdecimal() else None,
        )


def chain_answer(rows: Sequence[OptionRow], question: Question) -> Document:
    """Return the answer about a chain: `count` is that of the groups, `total` that of the contracts.

    Without groups `count` is that of the rows; `total` is what there is, whatever the limit.
    """
    names = [name for name in question.fields or CHAIN_FIELDS if name in OPTION_FIELDS]
    shown = list(rows)
    if question.order_by in OPTION_FIELDS:
        shown.sort(key=lambda row: _rank(option_cell(row, question.order_by)), reverse=question.is_descending)
    shown = shown[: question.limit]
    data: Document | list[Document]
    if question.group_by in _GROUPS and shown:
        data = _grouped(shown, _GROUPS[question.group_by], names, question)
    else:
        data = [_document({name: option_cell(row, name) for name in names}, question) for row in shown]
    return _answer(data, len(rows), names, question)


def quote_answer(rows: Sequence[FutureRow], question: Question) -> Document:
    """Return the answer about futures, which is a plain list."""
    names = [name for name in question.fields or _QUOTE_FIELDS if name in FUTURE_FIELDS]
    data = [_document({name: future_cell(row, name) for name in names}, question) for row in rows]
    return _answer(data, len(rows), names, question)


def encode(document: object) -> bytes:
    """Return JSON as the vendor's PHP writes it: no spaces, ASCII, slashes escaped."""
    return json.dumps(document, separators=(",", ":")).replace("/", "\\/").encode()


def _grouped(rows: Sequence[OptionRow], field: str, names: Sequence[str], question: Question) -> Document:
    def key(row: OptionRow) -> str:
        return str(option_cell(row, field)[0])

    first = {key(row): position for position, row in reversed(list(enumerate(rows)))}
    ordered = sorted(rows, key=lambda row: first[key(row)])
    return {
        name: [_document({field: option_cell(row, field) for field in names}, question) for row in members]
        for name, members in groupby(ordered, key)
    }


def _document(cells: Mapping[str, Cell], question: Question) -> Document:
    document = {name: text for name, (text, _) in cells.items()}
    if question.with_raw:
        document["raw"] = {name: raw for name, (_, raw) in cells.items()}
    return document


def _answer(data: Document | list[Document], total: int, names: Sequence[str], question: Question) -> Document:
    answer: Document = {"count": len(data), "total": total, "data": data}
    told = {name.removeprefix("field."): _META[name] for name in question.meta if name in _META}
    if told:
        answer["meta"] = {
            "field": {
                title: {name: getattr(FIELD_TEXTS[name], attribute) for name in names}
                for title, attribute in told.items()
            }
        }
    return answer


def _rank(cell: Cell) -> tuple[bool, Any]:
    """Return what puts rows in order: by the raw value, what has none last."""
    return cell[1] is None, cell[1] if cell[1] is not None else 0


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in text.split(",") if name)
