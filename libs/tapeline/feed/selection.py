"""Some of a source's ticks: by position, by venue time, by symbol. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from tapeline.feed.framer import Ticks
from tapeline.model.backfill import WHOLE_STREAM
from tapeline.model.columns import F_SNAPSHOT
from tapeline.model.control import Interval

Positions = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def rows(ticks: Ticks, chosen: Positions) -> Ticks:
    """Return the `chosen` rows (increasing positions) of `ticks`, as copies."""
    undefined = {}
    for name, marked in ticks.undefined.items():
        among = np.flatnonzero(np.isin(chosen, marked))
        if len(among):
            undefined[name] = among
    return replace(
        ticks,
        instrument_ids=ticks.instrument_ids[chosen],
        columns={name: values[chosen] for name, values in ticks.columns.items()},
        undefined=undefined,
    )


def within(ticks: Ticks, window: Interval) -> Ticks:
    """Return the ticks whose venue time is defined and lies within the window, but none of a snapshot."""
    return _where(ticks, _times_within(ticks, "ts_event", window) & ~_of_snapshots(ticks))


def received_within(ticks: Ticks, span: Interval) -> Ticks:
    """Return the ticks that the vendor received (`ts_recv`) within the span."""
    return _where(ticks, _times_within(ticks, "ts_recv", span))


def of_symbols(ticks: Ticks, symbols: Collection[str]) -> Ticks:
    """Return the ticks of some raw symbols; all where ``*`` is meant."""
    if tuple(symbols) == WHOLE_STREAM:
        return ticks
    ids = [number for number, instrument in ticks.directory.items() if instrument.symbol in symbols]
    return _where(ticks, np.isin(ticks.instrument_ids, np.array(ids, dtype=np.int64)))


def _times_within(ticks: Ticks, name: str, span: Interval) -> Mask:
    times = ticks.columns[name]
    # An undefined time is stored as 0, which no window of a vendor's data reaches.
    within: Mask = (times >= max(1, span.ts_event_from)) & (times < span.ts_event_until)
    return within


def _of_snapshots(ticks: Ticks) -> Mask:
    if "flags" not in ticks.columns:
        return np.zeros(len(ticks), dtype=np.bool_)
    of_snapshots: Mask = (ticks.columns["flags"] & F_SNAPSHOT) != 0
    return of_snapshots


def _where(ticks: Ticks, mask: Mask) -> Ticks:
    return ticks if mask.all() else rows(ticks, np.flatnonzero(mask))
