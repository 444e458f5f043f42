"""Every metric of Tapeline's order-by-order pressure, as a user of a stream framework would write it for speed.

Plain Python, one tick at a time, one instrument, no other packages; the rows are Tapeline's, number by number, for a
tape without gaps, halts and bad books (`sameness.py` holds them to it). Sums are kept for the shortest window only and
go up to the next longer one when it closes.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from typing import Any

WINDOWS_MS = (100, 1_000, 10_000, 60_000)
_WINDOWS_NS = tuple(length * 1_000_000 for length in WINDOWS_MS)
_CLOSE_AFTER_NS = 250_000_000
_F_SNAPSHOT, _F_LAST = 32, 128
_NEVER = -(2**63)
_FLOWS = tuple(f"{flow}_{side}" for flow in ("added", "cancelled", "replaced", "filled") for side in ("bid", "ask"))
_REASONS = ("warming", "not_trading", "crossed", "locked", "one_sided", "unknown_order", "late")

Tick = dict[str, Any]
Row = dict[str, Any]
Session = tuple[int, int, int, int]
"""Open, close, trading day, and the day's first open."""


class Side:
    """Resting size per price, and the prices in their order, the best last (those of asks negated)."""

    def __init__(self) -> None:
        self.keys: list[int] = []
        self.sizes: dict[int, int] = {}

    def change(self, key: int, size: int) -> None:
        before = self.sizes.get(key, 0)
        if before + size:
            if not before:
                insort(self.keys, key)
            self.sizes[key] = before + size
        elif before:
            del self.sizes[key]
            del self.keys[bisect_left(self.keys, key)]

    def depth(self) -> int:
        return sum([self.sizes[key] for key in self.keys[-5:]])


class Window:
    """Sums over the events of one window that is open."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.late = self.contributing = self.imbalance = self.modify_unknown = 0
        self.buy = self.sell = self.unsigned = self.sweeps_buy = self.sweeps_sell = self.sweep_volume = 0
        self.flows = [0] * 8
        self.reasons: set[str] = set()
        self.time = self.depth = self.queue = self.spread = 0.0

    def fold(self, shorter: Window) -> None:
        self.reasons |= shorter.reasons - {"late"}
        self.contributing += shorter.contributing
        self.imbalance += shorter.imbalance
        self.modify_unknown += shorter.modify_unknown
        self.buy += shorter.buy
        self.sell += shorter.sell
        self.unsigned += shorter.unsigned
        self.sweeps_buy += shorter.sweeps_buy
        self.sweeps_sell += shorter.sweeps_sell
        self.sweep_volume += shorter.sweep_volume
        self.flows = [mine + theirs for mine, theirs in zip(self.flows, shorter.flows, strict=True)]
        self.time += shorter.time
        self.depth += shorter.depth
        self.queue += shorter.queue
        self.spread += shorter.spread


class SamePressure:
    """One instrument's book, its open event, and its windows."""

    def __init__(self, sessions: list[Session]) -> None:
        self._opens = [session[0] for session in sessions]
        self._sessions = sessions
        self._orders: dict[int, list[int]] = {}  # side, key, size
        self._touched: dict[int, tuple[int, int, int]] = {}
        self._fills: dict[int, int] = {}
        self._prints: dict[int, list[int]] = {}  # side, price, volume, whether it has swept
        self._sides = (Side(), Side())
        self._event = ""
        self._event_ts = 0
        self._cleared = self._trading = self._cumulates = self._valid = False
        self._top: tuple[int | None, int, int | None, int] = (None, 0, None, 0)
        self._session: Session | None = None
        self._previous_session: object = None
        self._day = -1
        self._day_open = _NEVER
        self._delta: int | None = None
        self._standing: tuple[float, float, float] | None = None
        self._weighed_until: int | None = None
        self._windows: list[Window | None] = [None] * len(_WINDOWS_NS)
        self._forgotten = Window(0)
        self._into = self._forgotten
        self._fast_from = self._fast_to = 0
        self._latest = self._watermark = _NEVER
        self._rows: list[Row] = []

    def update(self, tick: Tick) -> list[Row]:
        """Apply a tick; return the rows of the windows that it closes."""
        self._rows = []
        ts, flags, action = tick["ts_event"], tick["flags"], tick["action"]
        is_snapshot = flags & _F_SNAPSHOT
        if self._event and (
            bool(is_snapshot) != (self._event == "snapshot") or (not is_snapshot and ts != self._event_ts)
        ):
            self._end_event()
        if not is_snapshot and ts > self._watermark:
            self._watermark = ts
            if not self._fast_from <= ts < self._fast_to:
                self._close_due(tick["symbol"])
        if not self._event:
            self._begin_event(tick, bool(is_snapshot))
        if action == "T":
            self._trade(tick)
        elif action == "F":
            order = self._orders.get(tick["order_id"])
            if order is not None and not is_snapshot:
                self._touch(tick["order_id"], order)
                self._fills[tick["order_id"]] = self._fills.get(tick["order_id"], 0) + tick["size"]
        elif action == "R":
            self._clear()
            self._cleared = True
        else:
            self._rest(tick, action, bool(is_snapshot))
        if flags & _F_LAST:
            self._end_event()
        return self._rows

    # the book

    def _clear(self) -> None:
        self._orders.clear()
        self._touched.clear()
        self._fills.clear()
        self._sides = (Side(), Side())

    def _touch(self, order_id: int, order: list[int]) -> None:
        if order_id not in self._touched:
            self._touched[order_id] = (order[0], order[1], order[2])

    def _rest(self, tick: Tick, action: str, is_snapshot: bool) -> None:
        order_id, size = tick["order_id"], tick["size"]
        order = self._orders.get(order_id)
        if action == "C":
            if order is None:
                self._into.reasons.add("unknown_order")
                return
            side, key = order[0], order[1]
            size = max(0, order[2] - size)
        elif action in "AM" and tick["side"] != "N":
            side = 0 if tick["side"] == "B" else 1
            key = -tick["price"] if side else tick["price"]
            if order is None:
                if action == "M":
                    self._into.modify_unknown += 1
                order = self._orders[order_id] = [side, key, 0]
        else:
            return
        if not is_snapshot:
            self._touch(order_id, order)
        old_side, old_key, old_size = order
        if old_side == side and old_key == key:
            self._sides[side].change(key, size - old_size)
        else:
            self._sides[old_side].change(old_key, -old_size)
            self._sides[side].change(key, size)
        order[0], order[1], order[2] = side, key, size
        if not size and is_snapshot:
            del self._orders[order_id]

    def _settle(self) -> None:
        flows = self._into.flows
        for order_id, (side_before, key_before, before) in self._touched.items():
            side, key, after = self._orders[order_id]
            if not before:
                flows[side] += after
            else:
                fills = self._fills.get(order_id, 0)
                flows[6 + side_before] += fills
                rests = after
                if side != side_before:
                    flows[side] += after
                    rests = 0
                if not rests or key == key_before:
                    change = rests - before + fills
                    flows[side_before if change > 0 else 2 + side_before] += abs(change)
                else:
                    cancelled, added = max(0, before - fills), after + max(0, fills - before)
                    flows[2 + side] += cancelled
                    flows[side] += added
                    flows[4 + side] += min(cancelled, added)
            if not after:
                del self._orders[order_id]
        self._touched.clear()
        self._fills.clear()
        self._prints.clear()

    def _trade(self, tick: Tick) -> None:
        into, side, size = self._into, tick["side"], tick["size"]
        if side == "N":
            into.unsigned += size
            return
        if side == "B":
            into.buy += size
        else:
            into.sell += size
        if self._cumulates and self._delta is not None:
            self._delta += size if side == "B" else -size
        order_id = tick["order_id"]
        if not order_id:
            return
        seen = self._prints.get(order_id)
        if seen is None:
            self._prints[order_id] = [side == "B", tick["price"], size, False]
            return
        seen[2] += size
        if seen[3]:
            into.sweep_volume += size
        elif seen[1] != tick["price"]:
            seen[3] = True
            into.sweep_volume += seen[2]
            if seen[0]:
                into.sweeps_buy += 1
            else:
                into.sweeps_sell += 1

    # events

    def _begin_event(self, tick: Tick, is_snapshot: bool) -> None:
        ts = tick["ts_event"]
        self._cleared = False
        if is_snapshot:
            self._event, self._into = "snapshot", self._forgotten
            self._valid = False
            self._clear()
            return
        if not self._fast_from <= ts < self._fast_to:
            self._enter_windows(ts, tick["symbol"])
            self._enter_session(ts)
        self._latest = max(self._latest, ts)
        self._event, self._event_ts = "live", ts

    def _end_event(self) -> None:
        event, into = self._event, self._into
        self._event = ""
        if event == "live" and not self._trading:
            into.reasons.add("not_trading")
        self._settle()
        bids, asks = self._sides
        bid = bids.keys[-1] if bids.keys else None
        ask = -asks.keys[-1] if asks.keys else None
        bid_size = 0 if bid is None else bids.sizes[bid]
        ask_size = 0 if ask is None else asks.sizes[-ask]
        before = self._top
        self._top = (bid, bid_size, ask, ask_size)
        if event == "snapshot" or self._cleared:
            self._valid = True
        if event == "snapshot" or not self._valid or not self._trading or self._cleared:
            if event == "live":
                self._weigh(self._event_ts, into)
                if not self._valid:
                    into.reasons.add("warming")
            self._standing = self._previous_session = None
            return
        into.contributing += 1
        two_sided = bid is not None and ask is not None
        if bid is None or ask is None:
            into.reasons.add("one_sided")
        elif bid >= ask:
            into.reasons.add("locked" if bid == ask else "crossed")
        is_first = self._previous_session is not self._session
        if not is_first and self._top == before:
            return
        self._weigh(self._event_ts, into)
        depth = bid_size + ask_size
        self._standing = None
        if two_sided and bid < ask:
            self._standing = (depth * 0.5, (bid_size - ask_size) / depth, float(ask - bid))
        self._previous_session = self._session
        if not is_first:
            into.imbalance += _imbalance(before, self._top)

    def _enter_session(self, ts: int) -> None:
        at = bisect_right(self._opens, ts) - 1
        session = self._sessions[at] if at >= 0 and ts < self._sessions[at][1] else None
        self._trading = session is not None
        if session is not None and session[2] > self._day:
            self._day, self._day_open, self._delta = session[2], session[3], 0
        self._cumulates = session[2] == self._day if session is not None else ts >= self._day_open > _NEVER
        self._session = session
        if session is not None:
            self._fast_from, self._fast_to = max(self._fast_from, session[0]), min(self._fast_to, session[1])
        else:
            self._fast_from = self._fast_to = 0

    # windows

    def _weigh(self, until: int, into: Window) -> None:
        if self._weighed_until is None:
            self._weighed_until = until
            return
        ns = until - self._weighed_until
        if ns > 0:
            self._weighed_until = until
            if self._standing is not None:
                depth, queue, spread = self._standing
                weight = float(ns)
                into.time += weight
                into.depth += depth * weight
                into.queue += queue * weight
                into.spread += spread * weight

    def _enter_windows(self, ts: int, symbol: str) -> None:
        windows = self._windows
        for level, window in enumerate(windows):
            if window is not None:
                if ts < window.start + _WINDOWS_NS[level]:
                    break
                self._close(level, window, symbol)
        into: Window | None = None
        for level in range(len(windows) - 1, -1, -1):
            window = windows[level]
            if window is not None:
                is_late = ts < window.start
            else:
                length = _WINDOWS_NS[level]
                start = ts // length * length
                window = self._forgotten
                is_late = start + length <= self._latest or start + length + _CLOSE_AFTER_NS <= self._watermark
                if not is_late:
                    longer = windows[level + 1] if level + 1 < len(windows) else None
                    self._weigh(start, longer or self._forgotten)
                    window = windows[level] = Window(start)
            if is_late:
                window.late += 1
            else:
                into = window
        self._into = into or self._forgotten
        shortest = windows[0]
        if shortest is not None and into is shortest:
            self._fast_from, self._fast_to = shortest.start, shortest.start + _WINDOWS_NS[0]
        else:
            self._fast_from = self._fast_to = 0

    def _close_due(self, symbol: str) -> None:
        for level, window in enumerate(self._windows):
            if window is not None:
                if window.start + _WINDOWS_NS[level] + _CLOSE_AFTER_NS > self._watermark:
                    return
                if self._event == "live":
                    self._end_event()
                self._close(level, window, symbol)

    def _close(self, level: int, window: Window, symbol: str) -> None:
        self._windows[level] = None
        self._weigh(window.start + _WINDOWS_NS[level], window)
        self._rows.append(self._row(level, window, symbol))
        if level + 1 < len(self._windows):
            (self._windows[level + 1] or self._forgotten).fold(window)
        else:
            self._forgotten = Window(0)
        if level == 0:
            self._fast_from = self._fast_to = 0

    def _row(self, level: int, window: Window, symbol: str) -> Row:
        reasons = set(window.reasons)
        if not self._valid:
            reasons.add("warming")
        if window.late:
            reasons.add("late")
        if window.modify_unknown:
            reasons.add("unknown_order")
        book_valid = "warming" not in reasons
        counts = book_valid and "crossed" not in reasons and window.contributing > 0
        bid, bid_size, ask, ask_size = self._top
        two_sided = self._valid and bid is not None and ask is not None
        bids, asks = (side.depth() for side in self._sides)
        flows = window.flows
        cancelled, added = flows[2] + flows[3], flows[0] + flows[1]
        replaced = flows[4] + flows[5]
        mid = None
        if two_sided and bid_size + ask_size > 0:
            mid = bid + round(float(ask - bid) * float(bid_size) / float(bid_size + ask_size))
        return {
            "symbol": symbol,
            "window_start": str(window.start),
            "window_ms": WINDOWS_MS[level],
            "revision": 1,
            "basis": "live",
            "order_flow_imbalance": window.imbalance if counts else None,
            "order_flow_imbalance_normalized": _ratio(window.imbalance * window.time, window.depth) if counts else None,
            "queue_imbalance": _ratio(bid_size - ask_size, bid_size + ask_size) if two_sided else None,
            "queue_imbalance_time_weighted": _ratio(window.queue, window.time) if book_valid else None,
            "weighted_mid": mid,
            "spread_time_weighted": round(window.spread / window.time) if book_valid and window.time else None,
            "depth_imbalance_5": _ratio(bids - asks, bids + asks) if self._valid else None,
            "buy_volume": window.buy,
            "sell_volume": window.sell,
            "unsigned_volume": window.unsigned,
            "trade_imbalance": _ratio(window.buy - window.sell, window.buy + window.sell),
            "cumulative_volume_delta": self._delta or 0,
            **(dict(zip(_FLOWS, flows, strict=True)) if book_valid else dict.fromkeys(_FLOWS)),
            "cancel_to_add": _ratio(cancelled - replaced, added - replaced) if book_valid else None,
            "sweeps_buy": window.sweeps_buy,
            "sweeps_sell": window.sweeps_sell,
            "sweep_volume": window.sweep_volume,
            "late_count": window.late,
            "modify_unknown_count": window.modify_unknown,
            "book_valid": book_valid,
            "trade_valid": True,
            "reasons": [reason for reason in _REASONS if reason in reasons],
        }


def _ratio(numerator: float, denominator: float) -> float | None:
    return round(numerator / denominator * 1e9) / 1e9 if denominator else None


def _imbalance(before: tuple[int | None, int, int | None, int], after: tuple[int | None, int, int | None, int]) -> int:
    old_bid, old_bid_size, old_ask, old_ask_size = before
    bid, bid_size, ask, ask_size = after
    change = 0
    if old_bid is None or (bid is not None and bid >= old_bid):
        change += bid_size
    if bid is None or (old_bid is not None and bid <= old_bid):
        change -= old_bid_size
    if old_ask is None or (ask is not None and ask <= old_ask):
        change -= ask_size
    if ask is None or (old_ask is not None and ask >= old_ask):
        change += old_ask_size
    return change
