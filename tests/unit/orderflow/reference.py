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
        return self.two_sided and self.bid_price == self.ask_price

    @property
    def crossed(self) -> bool:
        return self.bid_price > self.ask_price

    def shapes(self) -> set[str]:
        """What an ordinary book is not."""
        shapes = {"crossed": self.crossed, "locked": self.locked, "one_sided": not self.two_sided}
        return {shape for shape, it_is in shapes.items() if it_is}


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
        order_id, action = int(record["order_id"]), record["action"]
        if action == "R":
            self.clear()
        elif action in "AM":
            self.put(order_id, Order(record["side"], record["price"], record["size"]))
        elif action == "C" and order_id in self.orders:
            old = self.orders[order_id]
            self.put(order_id, old._replace(size=max(0, old.size - record["size"])))

    def top(self) -> Top:
        bids, asks = self.levels["B"], self.levels["A"]
        bid = Top(max(bids), bids[max(bids)], math.inf, 0) if bids else EMPTY
        return bid._replace(ask_price=min(asks), ask_size=asks[min(asks)]) if asks else bid

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
    if before is None:
        flow["aggressor_fills"] += fills
        if after is not None:
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

    def by_order(self, trades: list[Record]) -> Counter[str]:
        """Of the trades of one event."""
        found: Counter[str] = Counter()
        for aggressor in {(record["order_id"], record["side"]) for record in trades if record["order_id"]}:
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


def traded(trades: list[Record]) -> Counter[str]:
    """Volume from T alone, by the aggressor's side."""
    volumes: Counter[str] = Counter()
    for record in trades:
        volumes[{"B": "buy_volume", "A": "sell_volume", "N": "unsigned_volume"}[record["side"]]] += record["size"]
    return volumes


def unknown_orders(event: list[Record], known: set[int]) -> Counter[str]:
    """Count C and M of orders that do not rest; an M adds its order."""
    found: Counter[str] = Counter()
    for record in event:
        order_id, action = record["order_id"], record["action"]
        if action in "CM" and order_id not in known:
            found["unknown_orders"] += 1
            found["modify_unknown_count"] += action == "M"
        if action in "AM":
            known.add(order_id)
        elif action == "R":
            known.clear()
    return found


def divide(numerator: int | Fraction, denominator: int | Fraction) -> Fraction | None:
    return Fraction(numerator) / denominator if denominator else None


@dataclass
class Window:
    """What one symbol did in [start, end): sums over its events, and its standing top weighted with time."""

    start: int
    end: int
    sums: Counter[str] = field(default_factory=Counter)
    invalid: set[str] = field(default_factory=set)
    not_trading: bool = False
    gap: bool = False
    shapes: set[str] = field(default_factory=set)
    weighted_ns: int = 0
    spread_ns: int = 0
    depth_ns: Fraction = Fraction(0)
    imbalance_ns: Fraction = Fraction(0)

    def weigh(self, top: Top | None, since: float, until: int) -> None:
        """Weight the top that stood from `since` to `until` with the part of that time which is the window's."""
        ns = until - max(since, self.start)
        if ns <= 0 or top is None or not top.two_sided or top.locked or top.crossed:
            return
        ns = int(ns)
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
        self.previous_session: int | None = None
        self.standing: Top | None = None
        self.weighed_until: float = -math.inf
        self.sweeps = Sweeps()
        self.session: int | None = None
        self.cumulative_volume_delta = 0
        self.windows: dict[int, Window | None] = dict.fromkeys(windows_ns)
        self.closed_until: dict[int, float] = dict.fromkeys(windows_ns, -math.inf)
        self.late: Counter[int] = Counter()

    def invalidate(self, reason: str) -> None:
        self.invalid = reason
        self.previous = self.standing = None

    def halt(self, at: int) -> None:
        """Let no top stand from a halt on; the next event only sets it."""
        if self.open_windows():
            self.weigh(min(at, *(window.end for window in self.open_windows())))
        self.previous = self.standing = None

    def top(self, kind: str) -> Top:
        return self.book.top() if kind == "mbo" else self.l1_top

    def open_windows(self) -> list[Window]:
        return [window for window in self.windows.values() if window is not None]

    def stand(self, top: Top | None, at: int) -> None:
        """Let another top stand from `at` on."""
        if top is None or self.previous is None or top != self.standing:
            self.weigh(at)
            self.standing = top

    def weigh(self, until: int) -> None:
        """Weight the standing top with the time up to `until`: all time once and in order, whatever comes late."""
        for window in self.open_windows():
            window.weigh(self.standing, self.weighed_until, until)
        self.weighed_until = max(self.weighed_until, until)

    def orders(self, event: list[Record]) -> Counter[str]:
        """Apply an event to the book; return what it did to resting orders, each netted over the event."""
        touched = {record["order_id"] for record in event if record["order_id"]}
        before: dict[int, Order | None] = {order_id: self.book.orders.get(order_id) for order_id in touched}
        fills: Counter[int] = Counter()
        for record in event:
            if record["action"] == "F":
                fills[record["order_id"]] += record["size"]
            elif record["action"] == "R":  # what it clears is neither cancelled nor filled
                before, fills = dict.fromkeys(touched), Counter()
            self.book.apply(record)
        flows: Counter[str] = Counter()
        for order_id in touched:
            flows.update(resting_flow(before[order_id], self.book.orders.get(order_id), fills[order_id]))
        return flows


class Tape:
    """One (source, stream, kind)."""

    def __init__(self, kind: str, windows_ms: Iterable[int]) -> None:
        self.kind = kind
        self.windows_ns = [ms * MS for ms in windows_ms]
        self.session: str | None = None
        self.gaps: dict[str, Gap] = {}
        self.forget()

    def forget(self) -> None:
        self.instruments: dict[str, Instrument] = {}
        self.watermark: float = -math.inf

    def has_gap(self, symbol: str, begin: float, end: float) -> bool:
        """Whether records of [begin, end) are missing."""
        return any(
            (gap.ts_event_from or -math.inf) < end and begin < (gap.ts_event_to or math.inf)
            for gap in self.gaps.values()
            if {symbol, "*"} & set(gap.symbols)
        )


class Reference:
    """Rows from frames. `sessions` are (open, close) times in ns, [open, close) each, in order."""

    def __init__(
        self, sessions: list[tuple[int, int]], windows_ms: tuple[int, ...] = (100, 1_000, 10_000, 60_000)
    ) -> None:
        self.sessions = sessions
        self.windows_ms = windows_ms
        self.tapes: dict[tuple[str, str, str], Tape] = {}
        self.is_trading: dict[tuple[str, str, str], tuple[bool, float]] = {}
        self.totals: Counter[str] = Counter()
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
                self._status(stream, record)
        elif frame.kind in PRESSURE_KINDS:
            tape = self._tape(*stream, frame.kind)
            if tape.session not in (None, frame.session) and frame.resumes is None:
                self._begin_anew(tape, stream)
            tape.session = frame.session
            classes = dict(zip(frame.symbols, frame.classes, strict=True))
            for record in frame.rows():
                record.setdefault("action", "T")  # a feed of trades only does not say so
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
        for width, window in instrument.windows.items():
            if window and window.end <= record["ts_event"] and not snapshot:
                self._close(tape, stream, symbol, width)
        if snapshot and not instrument.event:
            instrument.book.clear()
            instrument.invalid = instrument.invalid or "warming"
        instrument.event.append(record)
        if record["flags"] & F_LAST or tape.kind == "trade":
            self._finish(tape, stream, symbol)

    def _finish(self, tape: Tape, stream: tuple[str, str], symbol: str) -> None:
        """The event has ended: change the book, read the top, and give every window its share."""
        instrument = tape.instruments[symbol]
        event, instrument.event = instrument.event, []
        if event[0]["flags"] & F_SNAPSHOT:
            self._snapshot(tape, instrument, event)
            return
        at = event[0]["ts_event"]
        trading = self._trading(stream, symbol, at)
        trades = [record for record in event if record["action"] == "T"]
        cleared = any(record["action"] == "R" for record in event)
        windows = self._windows_at(tape, symbol, at)

        share = traded(trades)
        self._accumulate(instrument, at, share["buy_volume"] - share["sell_volume"])
        share.update(instrument.sweeps.by_order(trades) if tape.kind == "mbo" else instrument.sweeps.by_run(trades))
        flows: Counter[str] = Counter()
        if tape.kind == "mbo":
            share.update(unknown_orders(event, set(instrument.book.orders)))
            flows = instrument.orders(event)
        elif len(trades) < len(event):  # T rows carry the top before the trade
            instrument.l1_top = quoted_top([record for record in event if record["action"] != "T"][-1])
            instrument.invalid = None
        if cleared and instrument.invalid == "warming":
            instrument.invalid = None
        if any(record["flags"] & F_MAYBE_BAD_BOOK for record in event):
            instrument.invalid = "bad_book"
        if instrument.invalid is None:
            share.update(flows)

        top = instrument.top(tape.kind)
        contributing = tape.kind in BOOK_KINDS and trading and instrument.invalid is None and not cleared
        if self._session(at) != instrument.previous_session:
            instrument.previous, instrument.previous_session = None, self._session(at)
        if contributing:
            share["contributing_events"] = 1
            share["crossed_events"] = int(top.crossed)
            if instrument.previous is not None:
                share["order_flow_imbalance"] = order_flow_imbalance(instrument.previous, top)
        elif tape.kind in BOOK_KINDS:
            share["crossed_events_not_contributing"] = int(top.crossed)
        self.totals.update(share)
        instrument.stand(top if contributing else None, at)
        for window in windows:
            window.sums.update(share)
            window.invalid |= {instrument.invalid} if instrument.invalid and tape.kind in BOOK_KINDS else set()
            window.not_trading |= not trading
            if contributing:
                window.shapes |= top.shapes()
        instrument.previous = top if contributing else None

    def _snapshot(self, tape: Tape, instrument: Instrument, event: list[Record]) -> None:
        """Make the book whole. After a loss only a snapshot from its R on is known to be complete."""
        if tape.kind == "mbo":
            instrument.orders(event)
        elif tape.kind == "l1":
            instrument.l1_top = quoted_top(event[-1])
        instrument.previous = instrument.standing = None
        if any(record["flags"] & F_MAYBE_BAD_BOOK for record in event):
            instrument.invalid = "bad_book"
        elif tape.kind == "l1" or instrument.invalid == "warming" or event[0]["action"] == "R":
            instrument.invalid = None

    def _status(self, stream: tuple[str, str], record: Record) -> None:
        """A status overrules the calendar until its session ends; between sessions, until one opens."""
        at, symbol, said = record["ts_event"], record["symbol"], record["is_trading"]
        if said == "~":
            return
        ends = [closes for opens, closes in self.sessions if opens <= at < closes]
        begins = [opens for opens, _ in self.sessions if at < opens]
        self.is_trading[*stream, symbol] = said == "Y", min(ends or begins, default=math.inf)
        if said == "N":
            for kind in PRESSURE_KINDS:
                instrument = self._tape(*stream, kind).instruments.get(symbol)
                if instrument is not None:
                    instrument.halt(at)

    def _trading(self, stream: tuple[str, str], symbol: str, at: int) -> bool:
        is_trading, until = self.is_trading.get((*stream, symbol), (False, -math.inf))
        return is_trading if at < until else self._session(at) is not None

    def _session(self, at: int) -> int | None:
        for opens, closes in self.sessions:
            if opens <= at < closes:
                return opens
        return None

    # Windows ----------------------------------------------------------------------------------------------------------

    def _windows_at(self, tape: Tape, symbol: str, at: int) -> list[Window]:
        """The windows that an event falls into, opened where need be. Where one has closed, the event is late."""
        instrument = tape.instruments[symbol]
        found = []
        for width in sorted(tape.windows_ns, reverse=True):
            start = at // width * width
            end = start + width
            if end <= instrument.closed_until[width] or end + WATERMARK_GRACE_NS <= tape.watermark:
                instrument.late[width] += 1
                continue
            window = instrument.windows[width]
            if window is None:
                instrument.weigh(start)
                window = instrument.windows[width] = Window(start, end, gap=tape.has_gap(symbol, start, end))
                instrument.closed_until[width] = start
            found.append(window)
        return found

    def _accumulate(self, instrument: Instrument, at: int, delta: int) -> None:
        """A session's sum begins with its first event; what is older than the session is not part of it."""
        session = self._session(at)
        if session is not None and (instrument.session is None or session > instrument.session):
            instrument.session, instrument.cumulative_volume_delta = session, 0
        if instrument.session is None or at >= instrument.session:
            instrument.cumulative_volume_delta += delta

    def _advance(self, tape: Tape, stream: tuple[str, str], at: int) -> None:
        """Move the watermark; whatever it passes by the grace is closed. What has not ended by then ends with it."""
        watermark = max(tape.watermark, at)
        for symbol, instrument in tape.instruments.items():
            if instrument.event and not instrument.event[0]["flags"] & F_SNAPSHOT:
                begins = instrument.event[0]["ts_event"]
                its_own = {width: begins // width * width + width for width in tape.windows_ns}
                ends = {end for width, end in its_own.items() if end > instrument.closed_until[width]}
                ends |= {window.end for window in instrument.open_windows()}
                if any(tape.watermark < end + WATERMARK_GRACE_NS <= watermark for end in ends):
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
        instrument.weigh(window.end)
        instrument.windows[width] = None
        instrument.closed_until[width] = window.end
        late, instrument.late[width] = instrument.late[width], 0
        since = -math.inf if instrument.session is None else instrument.session
        delta = None if tape.has_gap(symbol, since, window.end) else instrument.cumulative_volume_delta
        self.rows.append(row(tape.kind, stream, symbol, instrument, window, late_count=late, delta=delta))

    def _begin_anew(self, tape: Tape, stream: tuple[str, str]) -> None:
        """Close what is open, as touched by a gap, and forget books, sums and watermark."""
        for symbol, instrument in tape.instruments.items():
            for width, window in instrument.windows.items():
                if window is not None:
                    window.gap = True
                    self._close(tape, stream, symbol, width)
        tape.forget()

    def _gap(self, tape: Tape, gap: Gap) -> None:
        """Records are missing: an unfinished event is void, the book invalid, windows that lack some touched."""
        tape.gaps[gap.id] = gap
        for symbol, instrument in tape.instruments.items():
            if gap.state == "open" and {symbol, "*"} & set(gap.symbols):
                instrument.event = []
                instrument.invalidate("gap")
                for window in instrument.open_windows():
                    window.gap |= tape.has_gap(symbol, window.start, window.end)


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


def row(
    kind: str,
    stream: tuple[str, str],
    symbol: str,
    instrument: Instrument,
    window: Window,
    *,
    late_count: int,
    delta: int | None,
) -> Row:
    """Every metric of a closed window; None where it is not defined."""
    sums, gap = window.sums, window.gap
    top = instrument.top(kind)
    book_valid = kind in BOOK_KINDS and instrument.invalid is None and not window.invalid and not gap
    top_known = kind in BOOK_KINDS and instrument.invalid is None
    given = {
        "gap": gap,
        "not_trading": window.not_trading,
        "unknown_order": sums["unknown_orders"] > 0,
        "late": late_count > 0,
    }
    at_close = {instrument.invalid} if instrument.invalid and kind in BOOK_KINDS else set()
    reasons = window.invalid | at_close | window.shapes | {reason for reason, it_is in given.items() if it_is}

    counted = book_valid and sums["contributing_events"] > 0 and not sums["crossed_events"]
    ofi = sums["order_flow_imbalance"] if counted else None
    mean_depth = divide(window.depth_ns, window.weighted_ns)
    flows = {f"{flow}_{side}": sums[f"{flow}_{side}"] for flow in FLOWS for side in ("bid", "ask")}
    added, cancelled, replaced = (
        flows[f"{flow}_bid"] + flows[f"{flow}_ask"] for flow in ("added", "cancelled", "replaced")
    )
    signed = sums["buy_volume"] + sums["sell_volume"]
    bid_depth, ask_depth = instrument.book.depth(DEPTH_LEVELS)
    two_sided = top_known and top.two_sided
    has_orders = kind == "mbo" and book_valid
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
        "queue_imbalance_time_weighted": divide(window.imbalance_ns, window.weighted_ns) if book_valid else None,
        "weighted_mid": weighted_mid(top) if two_sided else None,
        "spread_time_weighted": divide(window.spread_ns, window.weighted_ns) if book_valid else None,
        "depth_imbalance_5": divide(bid_depth - ask_depth, bid_depth + ask_depth)
        if kind == "mbo" and top_known
        else None,
        **{
            name: None if gap else sums[name]
            for name in ("buy_volume", "sell_volume", "unsigned_volume", "sweeps_buy", "sweeps_sell", "sweep_volume")
        },
        "trade_imbalance": None if gap else divide(sums["buy_volume"] - sums["sell_volume"], signed),
        "cumulative_volume_delta": delta,
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
