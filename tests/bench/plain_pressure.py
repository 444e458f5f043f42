"""Pressure as a user of a stream framework would write it: plain Python, one tick at a time, no other packages.

Top-of-book order flow imbalance, buy and sell volume, over the same four windows as Tapeline; less than Tapeline's
metrics, so that a comparison rather favours the framework.
"""

from __future__ import annotations

import heapq
from typing import Any

WINDOWS_MS = (100, 1_000, 10_000, 60_000)
_F_LAST = 128
_NS_PER_MS = 1_000_000

Tick = dict[str, Any]
Row = dict[str, Any]


class Side:
    """Resting size per price; the best price from a heap whose dead entries are dropped when they come up."""

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._sizes: dict[int, int] = {}
        self._heap: list[int] = []

    def change(self, price: int, size: int) -> None:
        size += self._sizes.get(price, 0)
        if size <= 0:
            self._sizes.pop(price, None)
            return
        if price not in self._sizes:
            heapq.heappush(self._heap, price * self._sign)
        self._sizes[price] = size

    def top(self) -> tuple[int | None, int]:
        while self._heap:
            price = self._heap[0] * self._sign
            if price in self._sizes:
                return price, self._sizes[price]
            heapq.heappop(self._heap)
        return None, 0


class PlainPressure:
    """One instrument's book and windows."""

    def __init__(self) -> None:
        self._clear()
        self._windows = dict.fromkeys(WINDOWS_MS, -1)
        self._sums = {length: [0, 0, 0] for length in WINDOWS_MS}

    def update(self, tick: Tick) -> list[Row]:
        """Apply a tick; return the rows of the windows that it closes."""
        rows = self._close_windows(tick)
        action = tick["action"]
        if action == "T":
            if tick["side"] in "BA":
                for sums in self._sums.values():
                    sums[1 if tick["side"] == "B" else 2] += tick["size"]
        elif action in "ACM":
            self._rest(action, tick)
        elif action == "R":
            self._clear()
        if tick["flags"] & _F_LAST:
            self._end_event()
        return rows

    def _clear(self) -> None:
        self._orders: dict[int, tuple[str, int, int]] = {}
        self._sides = {"B": Side(-1), "A": Side(1)}
        self._tops: tuple[int | None, int, int | None, int] = (None, 0, None, 0)

    def _rest(self, action: str, tick: Tick) -> None:
        before = self._orders.pop(tick["order_id"], None)
        if before is not None:
            side, price, size = before
            self._sides[side].change(price, -size)
            if action == "C":
                if size > tick["size"]:
                    self._orders[tick["order_id"]] = (side, price, size - tick["size"])
                    self._sides[side].change(price, size - tick["size"])
                return
        if action != "C":
            self._orders[tick["order_id"]] = (tick["side"], tick["price"], tick["size"])
            self._sides[tick["side"]].change(tick["price"], tick["size"])

    def _end_event(self) -> None:
        bid, bid_size = self._sides["B"].top()
        ask, ask_size = self._sides["A"].top()
        bid_before, bid_size_before, ask_before, ask_size_before = self._tops
        self._tops = (bid, bid_size, ask, ask_size)
        if bid is None or ask is None or bid_before is None or ask_before is None:
            return
        change = 0
        if bid >= bid_before:
            change += bid_size
        if bid <= bid_before:
            change -= bid_size_before
        if ask <= ask_before:
            change -= ask_size
        if ask >= ask_before:
            change += ask_size_before
        if change:
            for sums in self._sums.values():
                sums[0] += change

    def _close_windows(self, tick: Tick) -> list[Row]:
        rows = []
        for length, before in self._windows.items():
            window = tick["ts_event"] // (length * _NS_PER_MS)
            if window != before:
                if window > before >= 0:
                    sums = self._sums[length]
                    rows.append(
                        {
                            "symbol": tick["symbol"],
                            "window_start": before * length * _NS_PER_MS,
                            "window_ms": length,
                            "order_flow_imbalance": sums[0],
                            "buy_volume": sums[1],
                            "sell_volume": sums[2],
                        }
                    )
                    self._sums[length] = [0, 0, 0]
                self._windows[length] = window
        return rows
