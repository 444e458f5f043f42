"""The order books of a tape that was read from files, kept so that a client can be told them as a snapshot."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from tapeline.errors import Misconfigured
from tapeline.feed.dbn_records import MBO_RECORD, Array
from tapeline.model.columns import F_BAD_TS_RECV, F_LAST, F_SNAPSHOT, INT64_MAX
from tapeline_simulator.databento.tape import CHUNK_RECORDS, VendorTape

_ADD, _CANCEL, _MODIFY, _CLEAR = (ord(action) for action in "ACMR")


class Books(Protocol):
    """Whoever knows the books of a tape."""

    def snapshot(self, instrument_id: int) -> Array:
        """Return the book after all that the tape has: `R`, then each `A` in order of priority; flags 40, last 168."""


class TapeBooks:
    """Keeps the books of `tape` by its own MBO records, which are read when a snapshot is asked for."""

    def __init__(self, tape: VendorTape) -> None:
        self._tape = tape
        self._position = 0
        self._resting = np.empty(0, dtype=MBO_RECORD)

    def snapshot(self, instrument_id: int) -> Array:
        """Return the book of an instrument as MBO records; no more than the `R` where it has none."""
        while self._position < self._tape.end("mbo"):
            end = min(self._tape.end("mbo"), self._position + CHUNK_RECORDS)
            self._resting = rest_after(self._resting, self._tape.read("mbo", self._position, end))
            self._position = end
        orders = self._resting[self._resting["instrument_id"] == instrument_id]
        captured_ns = (
            int(self._tape.read("mbo", self._position - 1, self._position)["ts_recv"][0]) if len(orders) else 0
        )
        return snapshot_of(instrument_id, orders, captured_ns)


class VenueBooks:
    """The books of a synthetic market, whose other instruments, the options, are not traded order by order."""

    def __init__(self, venue: Books) -> None:
        self._venue = venue

    def snapshot(self, instrument_id: int) -> Array:
        """Return the book of a future; of what has none no more than the `R`."""
        try:
            return self._venue.snapshot(instrument_id)
        except Misconfigured:
            return snapshot_of(instrument_id, np.empty(0, dtype=MBO_RECORD), 0)


def rest_after(resting: Array, records: Array) -> Array:
    """Return the orders that rest once `records` (MBO) have happened to those of `resting`.

    An order is the record that last set it, with the size that is left, in order of priority over all instruments: one
    that changes its price or grows goes to the end. T, F and N change nothing.
    """
    happened = np.concatenate((resting, records[np.isin(records["action"], (_ADD, _CANCEL, _MODIFY, _CLEAR))]))
    happened = _after_clearing(happened)
    if not len(happened):
        return happened
    order = np.lexsort((np.arange(len(happened)), happened["order_id"], happened["instrument_id"]))
    rows = happened[order]
    begins = np.ones(len(rows), dtype=np.bool_)
    begins[1:] = (rows["order_id"][1:] != rows["order_id"][:-1]) | (
        rows["instrument_id"][1:] != rows["instrument_id"][:-1]
    )
    group = np.cumsum(begins) - 1
    sets = rows["action"] != _CANCEL
    cancelled = np.cumsum(np.where(sets, 0, rows["size"].astype(np.int64)))
    at = np.flatnonzero(sets)
    # Of each record that sets an order: what sets it next, and what is cancelled until then.
    is_last = np.ones(len(at), dtype=np.bool_)
    is_last[:-1] = group[at][1:] != group[at][:-1]
    ends = np.searchsorted(group, group[at], side="right") - 1
    upto = np.where(is_last, ends, np.roll(at, -1))
    left = rows["size"][at].astype(np.int64) - (cancelled[upto] - cancelled[at])
    gains = np.ones(len(at), dtype=np.bool_)
    gains[1:] = (
        (group[at][1:] != group[at][:-1])
        | (rows["action"][at][1:] == _ADD)
        | (rows["price"][at][1:] != rows["price"][at][:-1])
        | (rows["size"][at][1:] > left[:-1])
    )
    priority = order[at][np.maximum.accumulate(np.where(gains, np.arange(len(at)), 0))]
    stays = is_last & (left > 0)
    kept = rows[at][stays]
    kept["size"], kept["action"] = left[stays], _ADD
    ordered: Array = kept[np.argsort(priority[stays])]
    return ordered


def snapshot_of(instrument_id: int, orders: Array, captured_ns: int) -> Array:
    """Return `orders`, which are in order of priority, as a snapshot taken at `captured_ns`."""
    records = np.zeros(len(orders) + 1, dtype=MBO_RECORD)
    records[1:] = orders
    records["length"], records["rtype"], records["instrument_id"] = MBO_RECORD.itemsize // 4, 0xA0, instrument_id
    records["publisher_id"] = orders["publisher_id"][0] if len(orders) else 1
    records["ts_recv"], records["ts_in_delta"] = captured_ns, 0
    records["flags"] = F_SNAPSHOT | F_BAD_TS_RECV
    clear = records[:1]
    clear["action"], clear["side"], clear["price"] = _CLEAR, ord("N"), INT64_MAX
    clear["ts_event"] = orders["ts_event"][0] if len(orders) else captured_ns
    records["flags"][-1] |= F_LAST
    return records


def _after_clearing(records: Array) -> Array:
    """Return what `R` leaves of each instrument: the records after its last one."""
    cleared = np.flatnonzero(records["action"] == _CLEAR)
    keep = records["action"] != _CLEAR
    last = {int(records["instrument_id"][row]): int(row) for row in cleared}
    for instrument_id, row in last.items():
        keep[:row] &= records["instrument_id"][:row] != instrument_id
    kept: Array = records[keep]
    return kept
