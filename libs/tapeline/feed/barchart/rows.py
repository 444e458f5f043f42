"""Rows of a Barchart answer as columns: each formatted text read exactly, and held against its raw number. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from tapeline.errors import BadData
from tapeline.model.chains import ABSENT

Integers = npt.NDArray[np.int64]
T = TypeVar("T")

_NUMBERS: Final = {int, float, type(None)}
_NEVER_ALIKE: Final = 1e-12
"""Relative: the raw number is a double of the same decimal, so that the two differ by its last digit at most."""
_DRIFT: Final = "the vendor's format may have changed; keep the answer and look at it"


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of an answer in its order; `places` says where each stands (``data.Call[3]``)."""

    rows: Sequence[dict[str, Any]]
    places: Sequence[str]
    raws: Sequence[dict[str, Any]]

    def __len__(self) -> int:
        return len(self.rows)

    def has(self, name: str) -> bool:
        """Return whether any row has a field."""
        return name in self.rows[0] or any(name in row for row in self.rows)

    def read(self, name: str, reader: Callable[[str], T], absent: T | None = None) -> list[T]:
        """Return what `reader` makes of the field's text in each row, `absent` where a row has no such field.

        Raises BadData that names the row, where `absent` is None for that as well.
        """
        try:
            return [reader(row[name]) for row in self.rows]
        except (KeyError, TypeError, AttributeError, BadData):
            return [self._read(index, name, reader, absent) for index in range(len(self.rows))]

    def integers(
        self, name: str, reader: Callable[[str], int], exponent: int, *, is_required: bool = False
    ) -> Integers:
        """Return a field as int64 with `exponent`, checked against the raw numbers; ABSENT where it is not there."""
        values = np.array(self.read(name, reader, None if is_required else ABSENT), dtype=np.int64)
        self.check_raw(name, values, exponent)
        return values

    def check_raw(self, name: str, values: Integers, exponent: int) -> None:
        """Hold `values` against the raw numbers of a field: a missing one is null or 0 there.

        Raises BadData that names the first row that differs.
        """
        raws = self.raw(name, values)
        expected = np.where(values > ABSENT, values, 0) / 10.0**-exponent
        wrong = np.abs(raws - expected) > _NEVER_ALIKE * np.abs(expected)
        if wrong.any():
            index = int(wrong.argmax())
            raise self.refusal(
                index, name, f"must say the same as its raw number, is {self.rows[index].get(name)!r} and {raws[index]}"
            )

    def raw(self, name: str, values: Integers) -> npt.NDArray[np.float64]:
        """Return the raw numbers of a field (float64), 0 for null and where `values` is ABSENT. Raises BadData."""
        try:
            numbers = [raw[name] for raw in self.raws]
        except KeyError:
            numbers = [
                raw.get(name) if value == ABSENT else self._raw(index, name)
                for index, (raw, value) in enumerate(zip(self.raws, values.tolist(), strict=True))
            ]
        if not set(map(type, numbers)) <= _NUMBERS:
            index = next(index for index, number in enumerate(numbers) if type(number) not in _NUMBERS)
            raise self.refusal(index, f"raw.{name}", f"must be a number or null, is {numbers[index]!r}")
        raws = np.array(numbers, dtype=np.float64)
        raws[np.isnan(raws)] = 0.0
        return raws

    def refusal(self, index: int, name: str, rule: str, remedy: str = _DRIFT) -> BadData:
        """Return the error about a field of a row."""
        symbol = self.rows[index].get("symbol")
        return BadData(f"{self.places[index]}.{name}", f"{rule}, in the row of {symbol!r}", remedy)

    def _raw(self, index: int, name: str) -> object:
        if name not in self.raws[index]:
            raise self.refusal(index, f"raw.{name}", "must be there")
        return self.raws[index][name]

    def _read(self, index: int, name: str, reader: Callable[[str], T], absent: T | None) -> T:
        row = self.rows[index]
        if name not in row:
            if absent is None:
                raise self.refusal(index, name, f"must be there; the row has {', '.join(sorted(row))}")
            return absent
        text = row[name]
        if not isinstance(text, str):
            raise self.refusal(index, name, f"must be a text, is {text!r}")
        try:
            return reader(text)
        except BadData as error:
            raise self.refusal(index, name, error.rule) from None


def rows_in(document: dict[str, Any]) -> Rows:
    """Return the rows of an answer, grouped (by type, by strike) or not. Raises BadData where it has none."""
    data = document.get("data")
    groups = data.items() if isinstance(data, dict) else [("", data)]
    rows: list[dict[str, Any]] = []
    places: list[str] = []
    for name, group in groups:
        where = f"data.{name}" if name else "data"
        if not isinstance(group, list) or not all(isinstance(row, dict) for row in group):
            raise BadData(where, "must be a list of rows", _DRIFT)
        rows += group
        places += [f"{where}[{index}]" for index in range(len(group))]
    if not rows:
        raise BadData(
            "data", "must hold contracts, is empty", "the series is unknown to the vendor, or is no longer listed"
        )
    raws = [row.get("raw") for row in rows]
    for place, raw in zip(places, raws, strict=True):
        if not isinstance(raw, dict):
            raise BadData(f"{place}.raw", "must hold the row's raw numbers", "ask with raw=1")
    return Rows(rows, places, raws)  # type: ignore[arg-type]
