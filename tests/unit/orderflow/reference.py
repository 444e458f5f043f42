"""The pressure metrics, version 1, written to be read: dictionaries, whole numbers and fractions, nothing fast.

One `Reference` takes tick frames and returns the rows that each frame closes, as plain dicts. Whatever has an exact
value is exact: ratios are `Fraction`, sums are `int`, what is not defined is None. In this order: the book, order flow
imbalance, resting orders netted per event, sweeps, windows, events, and when windows close.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final, NamedTuple

from tapeline.model.columns import F_LAST, F_MAYBE_BAD_BOOK, F_SNAPSHOT
from tapeline.model.frames import Gap, TickFrame

Record = dict[str, Any]
Row = dict[str, Any]

MS: Final = 1_000_000
WATERMARK_GRACE_NS: Final = 250 * MS
DEPTH_LEVELS: Final = 5
SIDES: Final = {"B": "bid", "A": "ask"}
FLOWS: Final = ("added", "cancelled", "replaced", "filled")
BOOK_KINDS: Final = ("mbo", "l1")
PRESSURE_KINDS: Final = ("mbo", "l1", "trade")
PRESSURE_CLASSES: Final = "F?"


class Order(NamedTuple):
    """A resting order."""

    side: str
    price: int
    size: int


class Top(NamedTuple):
    """Best price and total resting size per side; an empty side has price −∞ (bid) or +∞ (ask) and size 0."""

    bid_price: float
    bid_size: int
    ask_price: float
    ask_size: int

    @property
    def two_sided(self) -> bool:
        return self.bid_price > -math.inf and self.ask_price < math.inf

    @property
    def locked(self) -> bool:
        return self.bid_price == self.ask_price

    @property
    def crossed(self) -> bool:
        return self.bid_price > self.ask_price


EMPTY: Final = Top(-math.inf, 0, math.inf, 0)


class Book:
    """Resting orders by id. Only A, C, M and R change it."""

    def __init__(self) -> None:
        self.orders: dict[int, Order] = {}
        self.levels: dict[str, Counter[int]] = {"A": Counter(), "B": Counter()}

    def clear(self) -> None:
        self.orders.clear()
        for side in self.levels.values():
            side.clear()

    def put(self, order_id: int, order: Order | None) -> None:
        """Replace whatever rests under this id; None removes it."""
        old = self.orders.pop(order_id, None)
        if old is not None:
            level = self.levels[old.side]
            level[old.price] -= old.size
            if not level[old.price]:
                del level[old.price]
        if order is not None and order.size > 0:
            self.orders[order_id] = order
            self.levels[order.side][order.price] += order.size

    def apply(self, record: Record) -> None:
        order_id, action = record.get("order_id"), record["action"]
        if action == "R":
            self.clear()
        elif action in "AM":
            self.put(order_id, Order(record["side"], record["price"], record["size"]))
        elif action == "C" and order_id in self.orders:
            old = self.orders[order_id]
            self.put(order_id, old._replace(size=max(0, old.size - record["size"])))

    def top(self) -> Top:
        bids, asks = self.levels["B"], self.levels["A"]
        bid = max(bids, default=-math.inf)
        ask = min(asks, default=math.inf)
        return Top(bid, bids.get(bid, 0), ask, asks.get(ask, 0))

    def depth(self, levels: int) -> tuple[int, int]:
        """Total size of the best `levels` non-empty prices: (bid, ask)."""
        bids, asks = self.levels["B"], self.levels["A"]
        return (
            sum(bids[price] for price in sorted(bids, reverse=True)[:levels]),
            sum(asks[price] for price in sorted(asks)[:levels]),
        )


def order_flow_imbalance(before: Top, after: Top) -> int:
    """Cont, Kukanov, Stoikov 2014: e = 1[Pb≥Pb′]·qb − 1[Pb≤Pb′]·qb′ − 1[Pa≤Pa′]·qa + 1[Pa≥Pa′]·qa′."""
    e = 0
    if after.bid_price >= before.bid_price:
        e += after.bid_size
    if after.bid_price <= before.bid_price:
        e -= before.bid_size
    if after.ask_price <= before.ask_price:
        e -= after.ask_size
    if after.ask_price >= before.ask_price:
        e += before.ask_size
    return e


def resting_flow(before: Order | None, after: Order | None, fills: int) -> Counter[str]:
    """Net one order over one event: b, a resting size before and after, f = Σ F of the order. Keys as `added_bid`."""
    b, a = before.size if before else 0, after.size if after else 0
    flow: Counter[str] = Counter()
    if before is None and after is None:
        return flow
    if before is None:
        assert after is not None
        flow[f"added_{SIDES[after.side]}"] += a
        return flow
    flow[f"filled_{SIDES[before.side]}"] += fills
    if after is None or (after.side, after.price) == (before.side, before.price):
        delta = a - b + fills
        flow[f"added_{SIDES[before.side]}"] += max(delta, 0)
        flow[f"cancelled_{SIDES[before.side]}"] += max(-delta, 0)
        return flow
    cancelled, refreshed = max(0, b - fills), max(0, fills - b)
    flow[f"cancelled_{SIDES[before.side]}"] += cancelled
    flow[f"added_{SIDES[before.side]}"] += refreshed
    flow[f"added_{SIDES[after.side]}"] += a
    if after.side == before.side:
        flow[f"replaced_{SIDES[after.side]}"] += min(cancelled, a + refreshed)
    return flow


class Sweeps:
    """Aggressors that print at two prices or more: an order id within an event, or a run of T of a ts_event, side."""

    def __init__(self) -> None:
        self._aggressor: tuple[Any, ...] | None = None
        self._prices: set[int] = set()
        self._volume = 0

    def by_order(self, event: list[Record]) -> Counter[str]:
        found: Counter[str] = Counter()
        trades = [record for record in event if record["action"] == "T" and record["order_id"]]
        for aggressor in {(record["order_id"], record["side"]) for record in trades}:
            prints = [record for record in trades if (record["order_id"], record["side"]) == aggressor]
            if len({record["price"] for record in prints}) >= 2 and aggressor[1] != "N":
                found["sweeps_buy" if aggressor[1] == "B" else "sweeps_sell"] += 1
                found["sweep_volume"] += sum(record["size"] for record in prints)
        return found

    def by_run(self, trades: list[Record]) -> Counter[str]:
        """Continue the run of the previous event: a feed of trades only has one row per event."""
        found: Counter[str] = Counter()
        for record in trades:
            aggressor = (record["ts_event"], record["side"])
            if aggressor != self._aggressor:
                self._aggressor, self._prices, self._volume = aggressor, set(), 0
            already_a_sweep = len(self._prices) >= 2
            self._prices.add(record["price"])
            self._volume += record["size"]
            if record["side"] == "N" or len(self._prices) < 2:
                continue
            if already_a_sweep:
                found["sweep_volume"] += record["size"]
            else:
                found["sweeps_buy" if record["side"] == "B" else "sweeps_sell"] += 1
                found["sweep_volume"] += self._volume
        return found


def divide(numerator: int | Fraction, denominator: int | Fraction) -> Fraction | None:
    return Fraction(numerator) / denominator if denominator else None


@dataclass
class Window:
    """What one symbol did in [start, end): sums over its events, and its standing top weighted with time."""

    start: int
    end: int
    since: int
    sums: Counter[str] = field(default_factory=Counter)
    contributing: int = 0
    book_invalid: bool = False
    reasons: set[str] = field(default_factory=set)
    weighted_ns: int = 0
    spread_ns: int = 0
    depth_ns: Fraction = Fraction(0)
    imbalance_ns: Fraction = Fraction(0)

    def stand(self, top: Top | None, until: int) -> None:
        """Weight the top that stood from the last event to `until`; time never runs backwards."""
        ns = max(0, until - self.since)
        self.since = max(self.since, until)
        if top is None or not top.two_sided or top.locked or top.crossed:
            return
        self.weighted_ns += ns
        self.spread_ns += ns * int(top.ask_price - top.bid_price)
        self.depth_ns += ns * Fraction(top.bid_size + top.ask_size, 2)
        self.imbalance_ns += ns * Fraction(top.bid_size - top.ask_size, top.bid_size + top.ask_size)


class Instrument:
    """One symbol of one (stream, kind): its book, its unfinished event, its open window of each size."""

    def __init__(self, windows_ns: Iterable[int]) -> None:
        self.book = Book()
        self.l1_top = EMPTY
        self.event: list[Record] = []
        self.invalid: str | None = "warming"
        self.previous: Top | None = None
        self.standing: Top | None = None
        self.sweeps = Sweeps()
        self.session: int | None = None
        self.cumulative_volume_delta = 0
        self.cumulative_known = True
        self.windows: dict[int, Window | None] = dict.fromkeys(windows_ns)
        self.closed_until: dict[int, float] = dict.fromkeys(windows_ns, -math.inf)
        self.late: Counter[int] = Counter()

    def invalidate(self, reason: str) -> None:
        self.invalid = reason
        self.previous = self.standing = None


class Tape:
    """One (source, stream, kind)."""

    def __init__(self, kind: str, windows_ms: Iterable[int]) -> None:
        self.kind = kind
        self.windows_ns = [ms * MS for ms in windows_ms]
        self.session: str | None = None
        self.begin_anew()

    def begin_anew(self) -> None:
        self.instruments: dict[str, Instrument] = {}
        self.gaps: dict[str, Gap] = {}
        self.watermark: float = -math.inf


class Reference:
    """Rows from frames. `sessions` are (open, close) times in ns, [open, close) each, in order."""

    def __init__(
        self, sessions: list[tuple[int, int]], windows_ms: tuple[int, ...] = (100, 1_000, 10_000, 60_000)
    ) -> None:
        self.sessions = sessions
        self.windows_ms = windows_ms
        self.tapes: dict[tuple[str, str, str], Tape] = {}
        self.is_trading: dict[tuple[str, str, str], str] = {}
        self.contributing_events = 0
        self.crossed_contributing_events = 0
        self.crossed_not_trading_events = 0
        self.aggressor_fills = 0
        self.rows: list[Row] = []

    def apply(self, frame: TickFrame) -> list[Row]:
        """Take one frame and return the rows it closes, in the order in which they close."""
        self.rows = []
        stream = (frame.source, frame.stream)
        if frame.kind == "gap":
            assert frame.gap is not None
            for kind in set(frame.gap.kinds) & set(PRESSURE_KINDS):
                self._gap(self._tape(*stream, kind), frame.gap)
        elif frame.kind == "clock":
            for kind, at in (frame.clock or {}).items():
                if kind in PRESSURE_KINDS:
                    self._advance(self._tape(*stream, kind), stream, at)
        elif frame.kind == "status":
            for record in frame.rows():
                self.is_trading[*stream, str(record["symbol"])] = str(record["is_trading"])
        elif frame.kind in PRESSURE_KINDS:
            tape = self._tape(*stream, frame.kind)
            if frame.session != tape.session and frame.resumes is None:
                tape.begin_anew()
            tape.session = frame.session
            classes = dict(zip(frame.symbols, frame.classes, strict=True))
            for record in frame.rows():
                self._record(tape, stream, record, classes[str(record["symbol"])])
        return self.rows

    def _tape(self, source: str, stream: str, kind: str) -> Tape:
        return self.tapes.setdefault((source, stream, kind), Tape(kind, self.windows_ms))

    # Events -----------------------------------------------------------------------------------------------------------

    def _record(self, tape: Tape, stream: tuple[str, str], record: Record, instrument_class: str) -> None:
        in_scope = instrument_class in PRESSURE_CLASSES
        snapshot = bool(record["flags"] & F_SNAPSHOT)
        symbol = record["symbol"]
        instrument = tape.instruments.setdefault(symbol, Instrument(tape.windows_ns)) if in_scope else None
        if instrument and instrument.event and ends_before(instrument.event[-1], record):
            self._finish(tape, stream, symbol)
        if not snapshot:
            self._advance(tape, stream, record["ts_event"])
        if instrument is None:
            return
        if snapshot and not instrument.event:
            instrument.book.clear()
            instrument.invalidate(instrument.invalid or "warming")
        instrument.event.append(record)
        if record["flags"] & F_LAST or tape.kind == "trade":
            self._finish(tape, stream, symbol)

    def _finish(self, tape: Tape, stream: tuple[str, str], symbol: str) -> None:
        """The event has ended: change the book, read the top, and give every window its share."""
        instrument = tape.instruments[symbol]
        event, instrument.event = instrument.event, []
        has_book = tape.kind in BOOK_KINDS
        if event[0]["flags"] & F_SNAPSHOT:
            self._snapshot(tape, instrument, event)
            return
        at = event[0]["ts_event"]
        for width, window in instrument.windows.items():
            if window and window.end <= at:
                self._close(tape, stream, symbol, width)
        touched = {record["order_id"] for record in event if record.get("order_id")}
        before = {order_id: instrument.book.orders.get(order_id) for order_id in touched}
        fills: Counter[int] = Counter()
        share: Counter[str] = Counter()
        for record in event:
            action = record.get("action", "T")
            if action == "M" and tape.kind == "mbo" and record["order_id"] not in instrument.book.orders:
                share["modify_unknown_count"] += 1
            if action == "T":
                share[{"B": "buy_volume", "A": "sell_volume", "N": "unsigned_volume"}[record["side"]]] += record["size"]
            elif action == "F":
                fills[record["order_id"]] += record["size"]
            if tape.kind == "mbo":
                instrument.book.apply(record)
            elif tape.kind == "l1":
                instrument.l1_top = quoted_top(record)
        after = instrument.book.top() if tape.kind == "mbo" else instrument.l1_top

        cleared = any(record.get("action") == "R" for record in event)
        if cleared and instrument.invalid == "warming":
            instrument.invalid = None
        if tape.kind == "l1":
            instrument.invalid = None
        if any(record["flags"] & F_MAYBE_BAD_BOOK for record in event):
            instrument.invalidate("bad_book")

        trading = self._trading(stream, symbol, at)
        contributing = has_book and instrument.invalid is None and trading and not cleared
        if contributing:
            self.contributing_events += 1
            self.crossed_contributing_events += after.crossed
            share["order_flow_imbalance"] = (
                order_flow_imbalance(instrument.previous, after) if instrument.previous else 0
            )
            for order_id in touched:
                if before[order_id] is None:
                    self.aggressor_fills += fills[order_id]
                share.update(resting_flow(before[order_id], instrument.book.orders.get(order_id), fills[order_id]))
        elif has_book and not trading:
            self.crossed_not_trading_events += after.crossed

        trades = [record for record in event if record.get("action", "T") == "T"]
        if tape.kind == "mbo":
            share.update(instrument.sweeps.by_order(event))
        else:
            trades = [{**record, "action": "T"} for record in trades]
            share.update(instrument.sweeps.by_run(trades))

        self._into_windows(tape, stream, symbol, at, share, after if contributing else None, trading)

    def _snapshot(self, tape: Tape, instrument: Instrument, event: list[Record]) -> None:
        for record in event:
            if tape.kind == "mbo":
                instrument.book.apply(record)
            elif tape.kind == "l1":
                instrument.l1_top = quoted_top(record)
        instrument.invalid = None
        instrument.previous = instrument.standing = None

    def _trading(self, stream: tuple[str, str], symbol: str, at: int) -> bool:
        said = self.is_trading.get((*stream, symbol), "~")
        return said == "Y" if said in "YN" else self._session(at) is not None

    def _session(self, at: int) -> int | None:
        for opens, closes in self.sessions:
            if opens <= at < closes:
                return opens
        return None

    # Windows ----------------------------------------------------------------------------------------------------------

    def _into_windows(
        self,
        tape: Tape,
        stream: tuple[str, str],
        symbol: str,
        at: int,
        share: Counter[str],
        contributed: Top | None,
        trading: bool,
    ) -> None:
        instrument = tape.instruments[symbol]
        taking: list[Window] = []
        for width in tape.windows_ns:
            start = at // width * width
            window = instrument.windows[width]
            if start + width <= instrument.closed_until[width] or tape.watermark >= start + width + WATERMARK_GRACE_NS:
                instrument.late[width] += 1
                continue
            if window is None:
                window = instrument.windows[width] = Window(start, start + width, since=start)
                instrument.closed_until[width] = start
            taking.append(window)
        for window in instrument.windows.values():
            if window:
                window.stand(instrument.standing, at)

        session = self._session(at)
        if session is not None and session != instrument.session:
            instrument.session, instrument.cumulative_volume_delta, instrument.cumulative_known = session, 0, True
        instrument.cumulative_volume_delta += share["buy_volume"] - share["sell_volume"]

        for window in taking:
            window.sums.update(share)
            if tape.kind in BOOK_KINDS and instrument.invalid:
                window.book_invalid = True
                window.reasons.add(instrument.invalid)
            if not trading:
                window.reasons.add("not_trading")
            if contributed:
                window.contributing += 1
                if contributed.crossed:
                    window.reasons.add("crossed")
                elif contributed.locked:
                    window.reasons.add("locked")
                elif not contributed.two_sided:
                    window.reasons.add("one_sided")
        instrument.previous = contributed
        instrument.standing = contributed

    def _advance(self, tape: Tape, stream: tuple[str, str], at: int) -> None:
        """Move the watermark; whatever it passes by the grace is closed. What has not ended by then ends with it."""
        watermark = max(tape.watermark, at)
        narrowest = min(tape.windows_ns)
        for symbol, instrument in tape.instruments.items():
            if instrument.event and not instrument.event[0]["flags"] & F_SNAPSHOT:
                end = instrument.event[0]["ts_event"] // narrowest * narrowest + narrowest
                if watermark >= end + WATERMARK_GRACE_NS:
                    self._finish(tape, stream, symbol)
        tape.watermark = watermark
        for symbol, instrument in tape.instruments.items():
            for width, window in instrument.windows.items():
                if window and watermark >= window.end + WATERMARK_GRACE_NS:
                    self._close(tape, stream, symbol, width)

    def _close(self, tape: Tape, stream: tuple[str, str], symbol: str, width: int) -> None:
        instrument = tape.instruments[symbol]
        window = instrument.windows[width]
        assert window is not None
        window.stand(instrument.standing, window.end)
        instrument.windows[width] = None
        instrument.closed_until[width] = window.end
        late, instrument.late[width] = instrument.late[width], 0
        gap = any(touches(gap, symbol, window) for gap in tape.gaps.values())
        self.rows.append(row(tape.kind, stream, symbol, instrument, window, late_count=late, gap=gap))

    def _gap(self, tape: Tape, gap: Gap) -> None:
        tape.gaps[gap.id] = gap
        if gap.state == "open":
            for symbol, instrument in tape.instruments.items():
                if {symbol, "*"} & set(gap.symbols):
                    instrument.event = []
                    instrument.invalidate("gap")
                    instrument.cumulative_known = False


def ends_before(last: Record, following: Record) -> bool:
    """Whether an event ends between two records of an instrument. A snapshot is one event, of many `ts_event`."""
    if (last["flags"] ^ following["flags"]) & F_SNAPSHOT:
        return True
    return not last["flags"] & F_SNAPSHOT and last["ts_event"] != following["ts_event"]


def quoted_top(record: Record) -> Top:
    bid, ask = record["bid_price"], record["ask_price"]
    return Top(
        -math.inf if bid is None else bid,
        0 if bid is None else record["bid_size"],
        math.inf if ask is None else ask,
        0 if ask is None else record["ask_size"],
    )


def touches(gap: Gap, symbol: str, window: Window) -> bool:
    if not {symbol, "*"} & set(gap.symbols):
        return False
    begins = -math.inf if gap.ts_event_from is None else gap.ts_event_from
    ends = math.inf if gap.ts_event_to is None else gap.ts_event_to
    return begins < window.end and ends >= window.start


def row(
    kind: str,
    stream: tuple[str, str],
    symbol: str,
    instrument: Instrument,
    window: Window,
    *,
    late_count: int,
    gap: bool,
) -> Row:
    """Every metric of a closed window; None where it is not defined."""
    sums = window.sums
    top = instrument.book.top() if kind == "mbo" else instrument.l1_top
    book_valid = kind in BOOK_KINDS and instrument.invalid is None and not window.book_invalid and not gap
    top_known = kind in BOOK_KINDS and instrument.invalid is None
    counted = book_valid and window.contributing > 0
    reasons = set(window.reasons)
    if gap:
        reasons.add("gap")
    if late_count:
        reasons.add("late")
    if sums["modify_unknown_count"]:
        reasons.add("unknown_order")

    ofi = sums["order_flow_imbalance"] if counted and "crossed" not in window.reasons else None
    mean_depth = divide(window.depth_ns, window.weighted_ns)
    flows = {f"{flow}_{side}": sums[f"{flow}_{side}"] for flow in FLOWS for side in ("bid", "ask")}
    added, cancelled, replaced = (
        flows[f"{flow}_bid"] + flows[f"{flow}_ask"] for flow in ("added", "cancelled", "replaced")
    )
    signed = sums["buy_volume"] + sums["sell_volume"]
    bid_depth, ask_depth = instrument.book.depth(DEPTH_LEVELS)
    two_sided = top_known and top.two_sided
    has_orders = kind == "mbo" and counted
    return {
        "source": stream[0],
        "stream": stream[1],
        "kind": kind,
        "symbol": symbol,
        "window_start": window.start,
        "window_ms": (window.end - window.start) // MS,
        "order_flow_imbalance": ofi,
        "order_flow_imbalance_normalized": divide(ofi, mean_depth) if ofi is not None and mean_depth else None,
        "queue_imbalance": divide(top.bid_size - top.ask_size, top.bid_size + top.ask_size) if two_sided else None,
        "queue_imbalance_time_weighted": divide(window.imbalance_ns, window.weighted_ns) if top_known else None,
        "weighted_mid": weighted_mid(top) if two_sided else None,
        "spread_time_weighted": divide(window.spread_ns, window.weighted_ns) if top_known else None,
        "depth_imbalance_5": divide(bid_depth - ask_depth, bid_depth + ask_depth)
        if kind == "mbo" and top_known
        else None,
        **{
            name: None if gap else sums[name]
            for name in ("buy_volume", "sell_volume", "unsigned_volume", "sweeps_buy", "sweeps_sell", "sweep_volume")
        },
        "trade_imbalance": None if gap else divide(sums["buy_volume"] - sums["sell_volume"], signed),
        "cumulative_volume_delta": instrument.cumulative_volume_delta if instrument.cumulative_known else None,
        **{name: value if has_orders else None for name, value in flows.items()},
        "cancel_to_add": divide(cancelled - replaced, added - replaced) if has_orders else None,
        "late_count": late_count,
        "modify_unknown_count": sums["modify_unknown_count"],
        "book_valid": book_valid,
        "trade_valid": not gap,
        "reasons": reasons,
    }


def weighted_mid(top: Top) -> Fraction:
    """Gatheral, Oomen 2010: (Pa·qb + Pb·qa) / (qb + qa)."""
    bid_price, ask_price = int(top.bid_price), int(top.ask_price)
    return Fraction(ask_price * top.bid_size + bid_price * top.ask_size, top.bid_size + top.ask_size)
