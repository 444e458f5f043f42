"""Records of Barchart's OnDemand API out of their envelope, every number by its own digits. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from tapeline.errors import BadData
from tapeline.feed.barchart.answers import answer_object
from tapeline.feed.barchart.expiries import CHICAGO
from tapeline.model.chains import ABSENT, NULL
from tapeline.model.columns import INT64_MAX

_GOOD: Final = 200
_EMPTY: Final = 204
_MOST_DIGITS: Final = 9


def records_in(payload: bytes) -> list[Record]:
    """Return the records of an answer. Raises BadData where it is an error, or has none."""
    status = answer_object(payload).get("status")
    code, message = (status.get("code"), status.get("message")) if isinstance(status, dict) else (None, None)
    if code not in (_GOOD, _EMPTY):
        raise BadData("status.code", f"must be {_GOOD}, is {code!r}: {str(message)[:200]}")
    # The digits of every number are kept as they are written.
    results = json.loads(payload, parse_float=str, parse_int=str).get("results")
    if code == _EMPTY or not results:
        raise BadData("results", f"must hold contracts, are empty: {message}", "the series is unknown or has expired")
    if not isinstance(results, list) or not all(isinstance(each, dict) for each in results):
        raise BadData("results", "must be a list of records")
    return [Record(index, each) for index, each in enumerate(results)]


@dataclass(frozen=True, slots=True)
class Record:
    """One record; numbers in `cells` are their own digits, as texts."""

    index: int
    cells: dict[str, Any]

    def read(self, name: str, reader: Callable[[str], int]) -> int:
        """Return a number: NULL for null and "", ABSENT where there is no such field."""
        if name not in self.cells:
            return ABSENT
        cell = self.cells[name]
        if cell is None or cell == "":
            return NULL
        if not isinstance(cell, str):
            raise self.refusal(name, f"must be a number, is {cell!r}")
        try:
            return reader(cell)
        except (ValueError, InvalidOperation):
            raise self.refusal(name, f"must be a number, is {cell!r}") from None

    def text(self, name: str) -> str:
        """Return a text that must be there."""
        cell = self.cells.get(name)
        if not isinstance(cell, str) or not cell:
            raise self.refusal(name, f"must be a text, is {cell!r}")
        return cell

    def day(self, name: str) -> int:
        """Return a date as midnight UTC (ns): NULL for null and "", ABSENT where there is no such field."""
        if not self.cells.get(name):
            return NULL if name in self.cells else ABSENT
        try:
            day = date.fromisoformat(self.text(name)[:10])
        except ValueError:
            raise self.refusal(name, f"must be a date, is {self.cells[name]!r}") from None
        return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 10**9

    def instant(self, name: str) -> int | None:
        """Return a moment (ns), by Chicago's clocks where it names no zone; None where it is not told."""
        if not self.cells.get(name):
            return None
        try:
            at = datetime.fromisoformat(self.text(name))
        except ValueError:
            raise self.refusal(name, f"must be a time, is {self.cells[name]!r}") from None
        return int((at if at.tzinfo else at.replace(tzinfo=CHICAGO)).timestamp()) * 10**9

    def refusal(self, name: str, rule: str) -> BadData:
        """Return the error about a field."""
        symbol = self.cells.get("symbol")
        remedy = "the vendor's format may have changed; keep the answer and look at it"
        return BadData(f"results[{self.index}].{name}", f"{rule}, in the row of {symbol!r}", remedy)


def price_of(text: str) -> int:
    """Return a price (exponent -9). Raises ValueError or InvalidOperation."""
    return _scaled(text, _MOST_DIGITS)


def count_of(text: str) -> int:
    """Return a number of contracts. Raises ValueError or InvalidOperation."""
    number = _scaled(text, 0)
    if number < 0:
        raise ValueError(text)
    return number


def _scaled(text: str, digits: int) -> int:
    number = Decimal(text).scaleb(digits)
    if not number.is_finite() or number != number.to_integral_value() or abs(number) > INT64_MAX:
        raise ValueError(text)
    return int(number)
