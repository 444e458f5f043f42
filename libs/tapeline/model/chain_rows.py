"""The contracts of a chain as the rows of its message, and back.

Prices are exact decimal JSON numbers: a number of up to 15 significant digits is the shortest text of one float64, so
that it passes through floats unharmed; what has more digits is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tapeline.errors import BadData
from tapeline.model.chains import (
    ABSENT,
    ABSENT_CODE,
    CODES,
    COUNTS,
    FLAGS,
    FLOATS,
    NULL,
    NULL_CODE,
    PRECISIONS,
    PRICES,
    TIMES,
    TRUTHS,
    Contracts,
)
from tapeline.model.documents import Document
from tapeline.model.frames import Array

Floats = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]

ALL_FIELDS: Final = (*PRICES, *COUNTS, *TIMES, *CODES, *TRUTHS, *FLOATS)
_EXACT: Final = 10**15
"""Below it, an int64 has at most 15 digits."""
_MOST: Final = 10**18
_ROUNDING: Final = 2.0**-51
_DIGITS: Final = re.compile(r"-?[0-9]{1,19}")
_NUMBERS: Final = {int, float}
_OMITTED: Final = object()


def rows_of(contracts: Contracts, symbols: Sequence[str]) -> list[dict[str, Any]]:
    """Return the contracts row by row: null as None, absent fields left out. Raises BadData for an inexact price."""
    cells: dict[str, list[Any]] = {
        "symbol": list(symbols),
        "vendor_symbol": list(contracts.vendor_symbols),
        "right": np.where(contracts.is_call, "call", "put").tolist(),
        "strike": _decimals(contracts.strike, "contracts.strike").tolist(),
    }
    gappy: list[str] = []
    for name in ALL_FIELDS:
        column = contracts.columns.get(name)
        if column is None:
            continue
        absent = [] if name in FLOATS else np.flatnonzero(column == _absent_of(name)).tolist()
        if len(absent) == len(column):
            continue
        cells[name] = _cells(name, column)
        if absent:
            gappy.append(name)
        for row in absent:
            cells[name][row] = _OMITTED
    cells["flags"] = _flag_names(contracts.flags)
    names = tuple(cells)
    rows = [dict(zip(names, row, strict=True)) for row in zip(*cells.values(), strict=True)]
    for document in rows if gappy else ():
        for name in gappy:
            if document[name] is _OMITTED:
                del document[name]
    return rows


def contracts_of(rows: Sequence[Document]) -> Contracts:
    """Return the contracts of a message's rows. Raises BadData that names row, field and rule."""
    rights = [row.get("right") for row in rows]
    for row, right in enumerate(rights):
        if right not in ("call", "put"):
            raise BadData(f"contracts[{row}].right", f"must be call or put, is {right!r}")
    symbols = [row.get("vendor_symbol") for row in rows]
    _check_types("vendor_symbol", symbols, {str})
    strikes = _values("strike", rows)
    _check_types("strike", strikes, _NUMBERS)
    columns = {name: column for name in ALL_FIELDS if (column := _column(name, _values(name, rows))) is not None}
    return Contracts(
        strike=_scaled(np.array(strikes, dtype=np.float64), "contracts.strike"),
        is_call=np.array([right == "call" for right in rights], dtype=bool),
        vendor_symbols=tuple(symbols),  # type: ignore[arg-type]
        columns=columns,
        flags=_flag_bits([row.get("flags") for row in rows]),
    )


def decimal_number(value: int, path: str) -> float:
    """Return a number with exponent -9 as the float whose shortest text is it. Raises BadData where there is none."""
    return float(_decimals(np.array([value], dtype=np.int64), path)[0])


def scaled_number(value: float, path: str) -> int:
    """Return a JSON number with exponent -9. Raises BadData where it has more than nine decimals."""
    return int(_scaled(np.array([value], dtype=np.float64), path)[0])


def _absent_of(name: str) -> int:
    return ABSENT_CODE if name in TRUTHS or name in CODES else ABSENT


def _cells(name: str, column: Array) -> list[Any]:
    if name in PRICES:
        undefined = column <= ABSENT
        return _with_null(_decimals(np.where(undefined, 0, column), f"contracts.{name}").tolist(), undefined)
    if name in FLOATS:
        return _with_null(column.tolist(), np.isnan(column))
    if name in TRUTHS:
        return _with_null((column > 0).tolist(), column < 0)
    if name in CODES:
        return [PRECISIONS[code] if code >= 0 else None for code in column.tolist()]
    values = column.tolist()
    return _with_null([str(at) for at in values] if name in TIMES else values, column <= ABSENT)


def _with_null(values: list[Any], is_null: npt.NDArray[np.bool_]) -> list[Any]:
    for row in np.flatnonzero(is_null).tolist():
        values[row] = None
    return values


def _decimals(values: Int64s, path: str) -> Floats:
    size = np.abs(values)
    wide = size >= _EXACT
    if not wide.any():
        return values / 1e9
    if (wide & ((values % 1000 != 0) | (size >= _MOST))).any():
        raise BadData(path, "must have at most 15 significant digits")
    exact: Floats = np.where(wide, (values // 1000) / 1e6, values / 1e9)
    return exact


def _scaled(values: Floats, path: str) -> Int64s:
    wide = np.abs(values) >= _EXACT / 1e9
    if not (np.abs(values) < _MOST / 1e9).all():
        raise BadData(path, "must be a number below 1e9")
    billionths = np.where(wide, values * 1e6, values * 1e9)
    whole = np.rint(billionths)
    # A float and its product are each off by half a unit of their last place at most.
    if (np.abs(billionths - whole) > np.abs(billionths) * _ROUNDING).any():
        raise BadData(path, "must have at most nine decimals")
    exact: Int64s = whole.astype(np.int64)
    exact[wide] *= 1000
    return exact


def _values(name: str, rows: Sequence[Document]) -> list[Any]:
    return [row.get(name, _OMITTED) for row in rows]


def _column(name: str, values: list[Any]) -> Array | None:
    """Return the values of a field as a column, None where no row has it."""
    omitted = [row for row, value in enumerate(values) if value is _OMITTED]
    if len(omitted) == len(values):
        return None
    nulls = [row for row, value in enumerate(values) if value is None]
    for row in omitted + nulls:
        values[row] = 0
    column = _parsed(name, values, {*omitted, *nulls})
    if name in FLOATS:
        column[nulls] = column[omitted] = np.nan
    else:
        column[nulls] = NULL_CODE if name in TRUTHS or name in CODES else NULL
        column[omitted] = _absent_of(name)
    return column


def _parsed(name: str, values: list[Any], undefined: set[int]) -> Array:
    if name in PRICES or name in FLOATS:
        _check_types(name, values, _NUMBERS)
        numbers = np.array(values, dtype=np.float64)
        return numbers if name in FLOATS else _scaled(numbers, f"contracts.{name}")
    if name in COUNTS:
        _check_types(name, values, {int})
        return _int64s(name, values)
    if name in TIMES:
        for row, value in enumerate(values):
            if row not in undefined and not (isinstance(value, str) and _DIGITS.fullmatch(value)):
                raise BadData(f"contracts[{row}].{name}", "must be nanoseconds since the epoch as a decimal text")
        return _int64s(name, [int(value) for value in values])
    kind, codes = (
        (bool, {True: 1, False: 0})
        if name in TRUTHS
        else (str, {precision: code for code, precision in enumerate(PRECISIONS)})
    )
    for row, value in enumerate(values):
        if row not in undefined and (type(value) is not kind or value not in codes):
            raise BadData(f"contracts[{row}].{name}", f"must be one of {', '.join(map(str, codes))}, is {value!r}")
    return np.array([0 if row in undefined else codes[value] for row, value in enumerate(values)], dtype=np.int8)


def _int64s(name: str, values: list[int]) -> Int64s:
    try:
        column = np.array(values, dtype=np.int64)
    except OverflowError:
        raise BadData(f"contracts.{name}", "must fit 64 bits") from None
    if (column <= ABSENT).any():
        raise BadData(f"contracts.{name}", "must be above the two least 64-bit integers, which stand for no value")
    return column


def _check_types(name: str, values: list[Any], allowed: set[type]) -> None:
    if {type(value) for value in values} <= allowed:
        return
    row, value = next((row, value) for row, value in enumerate(values) if type(value) not in allowed)
    found = "missing" if value is _OMITTED else repr(value)
    names = " or ".join(sorted(each.__name__ for each in allowed))
    raise BadData(f"contracts[{row}].{name}", f"must be {names}, is {found}")


def _flag_names(flags: npt.NDArray[np.uint32]) -> list[list[str]]:
    known = {bits: [name for bit, name in enumerate(FLAGS) if bits >> bit & 1] for bits in np.unique(flags).tolist()}
    return [known[bits] for bits in flags.tolist()]


def _flag_bits(values: list[Any]) -> npt.NDArray[np.uint32]:
    bits = {name: 1 << bit for bit, name in enumerate(FLAGS)}
    flags = np.zeros(len(values), dtype=np.uint32)
    for row, names in enumerate(values):
        if not isinstance(names, list) or not all(isinstance(name, str) and name in bits for name in names):
            raise BadData(f"contracts[{row}].flags", f"must be a list of {', '.join(FLAGS)}")
        if names:
            flags[row] = sum(bits[name] for name in set(names))
    return flags
