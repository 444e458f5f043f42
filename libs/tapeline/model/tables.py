"""Frames as whole columns: numpy arrays, a pandas or a polars frame."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tapeline.errors import MissingExtra
from tapeline.model.columns import COLUMNS, Column, TickKind
from tapeline.model.frames import Array, TickFrame

if TYPE_CHECKING:
    import pandas
    import polars

_TIMES: Final = ("ts_event", "ts_recv", "ts_ref")


def to_numpy(frames: Iterable[object], kind: TickKind) -> dict[str, Array]:
    """Return the ticks of one kind as columns of one length; frames of other kinds are passed over.

    Times are int64 ns since the epoch, prices int64 with exponent -9, `action` and `side` one letter each, `symbol` the
    raw symbol; `instrument_id` is added. Columns that can be undefined are masked arrays.
    """
    chosen = [frame for frame in frames if isinstance(frame, TickFrame) and frame.kind == kind]
    out: dict[str, Array] = {}
    for column in COLUMNS[kind]:
        parts = [_values(frame, column) for frame in chosen]
        out[column.name] = np.concatenate(parts) if parts else _nothing(column)
        if column.can_be_undefined:
            masks = [_mask(frame, column.name) for frame in chosen]
            mask = np.concatenate(masks) if masks else np.empty(0, dtype=bool)
            out[column.name] = np.ma.MaskedArray(out[column.name], mask)
    ids = [np.asarray(frame.instrument_ids, dtype=np.int64)[frame.columns["symbol"]] for frame in chosen]
    out["instrument_id"] = np.concatenate(ids) if ids else np.empty(0, dtype=np.int64)
    return out


def to_pandas(frames: Iterable[object], kind: TickKind) -> pandas.DataFrame:
    """Return the ticks of one kind as a pandas frame, with UTC times and NA where a value is undefined.

    Prices stay integers with exponent -9. Raises MissingExtra without pandas (``pip install 'tapeline[pandas]'``).
    """
    try:
        import pandas as pd
    except ImportError:
        raise MissingExtra("pandas is not installed; pip install 'tapeline[pandas]'") from None
    columns: dict[str, Any] = {}
    for name, values in to_numpy(frames, kind).items():
        if name in _TIMES:
            columns[name] = pd.Series(_data(values).view("datetime64[ns]"), copy=True).mask(_hidden(values))
            columns[name] = columns[name].dt.tz_localize("UTC")
        elif isinstance(values, np.ma.MaskedArray):
            columns[name] = pd.array(_data(values), dtype="Int64")
            columns[name][_hidden(values)] = pd.NA
        else:
            columns[name] = values
    return pd.DataFrame(columns)


def to_polars(frames: Iterable[object], kind: TickKind) -> polars.DataFrame:
    """Return the ticks of one kind as a polars frame, with UTC times and null where a value is undefined.

    Prices stay integers with exponent -9. Raises MissingExtra without polars (``pip install 'tapeline[polars]'``).
    """
    try:
        import polars as pl
    except ImportError:
        raise MissingExtra("polars is not installed; pip install 'tapeline[polars]'") from None
    columns = []
    for name, values in to_numpy(frames, kind).items():
        series = pl.Series(name, _data(values))
        if isinstance(values, np.ma.MaskedArray):
            series = series.set(pl.Series(_hidden(values)), None)
        columns.append(series.cast(pl.Datetime("ns", "UTC")) if name in _TIMES else series)
    return pl.DataFrame(columns)


def _values(frame: TickFrame, column: Column) -> Array:
    values = frame.columns[column.name]
    if column.is_text:
        return values.view("S1").astype("U1")
    if column.name == "symbol":
        return np.asarray(frame.symbols)[values]
    if column.name in _TIMES:
        return values + np.int64(frame.ts_base)
    return values


def _mask(frame: TickFrame, name: str) -> Array:
    mask = np.zeros(len(frame), dtype=bool)
    mask[frame.undefined.get(name, [])] = True
    return mask


def _nothing(column: Column) -> Array:
    return np.empty(0, dtype="U1" if column.is_text or column.name == "symbol" else column.dtype)


def _data(values: Array) -> Array:
    return np.ma.getdata(values)


def _hidden(values: Array) -> Array:
    return np.ma.getmaskarray(values)
