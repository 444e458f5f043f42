"""Random order flows: lists of small choices, played into records and cut into frames.

Prices are few, so that books cross, lock and run empty; times jump over windows of every size, and backwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from hypothesis import strategies as st
from tests.unit.orderflow.builders import MS, clock_frame, gap_frame, status_frame, tick_frame

from tapeline.model.columns import COLUMNS, F_BAD_TS_RECV, F_LAST, F_MAYBE_BAD_BOOK, F_SNAPSHOT, TickKind
from tapeline.model.frames import TickFrame

Record = dict[str, Any]

SYMBOLS: Final = ("ESH4", "ESM4", "ESH4-ESM4")
CLASSES: Final = "F?S"
MIDNIGHT: Final = 1_703_548_800_000_000_000
TICK: Final = 250_000_000
MID: Final = 4_800_000_000_000

ODD_PRICES: Final = {61: -37_000_000_000, 62: MID + 1, 63: 90_000 * 1_000_000_000}

STEPS_NS: Final = (
    *(0, 0, 0, 1, 1_000, MS, 7 * MS, 30 * MS, 99 * MS, 100 * MS, 250 * MS, 349_999_999, 350 * MS),
    *(1_100 * MS, 11_000 * MS, 70_000 * MS),
    *(-1, -MS, -130 * MS, -1_200 * MS, -15_000 * MS),
)
SESSIONS: Final = (
    [(0, 2**62)],
    [(MIDNIGHT, MIDNIGHT + 40_000 * MS), (MIDNIGHT + 60_000 * MS, MIDNIGHT + 3_600_000 * MS)],
    [(MIDNIGHT + 1_234_567_891, MIDNIGHT + 20_050 * MS), (MIDNIGHT + 31_007 * MS, MIDNIGHT + 95_001 * MS)],
)


@dataclass(frozen=True, slots=True)
class Choice:
    """One draw: what happens, to which symbol, how much later, and four numbers to decide the rest."""

    what: str
    symbol: int
    step_ns: int
    numbers: tuple[int, int, int, int]
    is_last: bool
    cuts: bool


_MARKS: Final = ("clock", "gap", "bounded", "bounded", "status", "restart")
_ORDERS: Final = ("add",) * 16 + ("cancel",) * 8 + ("modify",) * 10 + ("trade",) * 8
_WHATS: Final[dict[str, tuple[str, ...]]] = {
    "mbo": _ORDERS * 3 + ("snapshot",) * 6 + ("clear", "bad", "none") + _MARKS,
    "l1": (("quote",) * 10 + ("print",) * 6) * 5 + ("snapshot", "clear", "bad", *_MARKS),
    "trade": ("print",) * 50 + _MARKS,
    "calm": _ORDERS,
}


def choices(of: str, seed: int, length: int) -> list[Choice]:
    """Draw a flow of one kind, or a `calm` one: orders alone, time forward. A shorter one begins a longer one."""
    random = Random(seed)
    hasty = random.random()
    drawn = []
    for _ in range(length):
        steps_ns = STEPS_NS if random.random() < hasty else STEPS_NS[:6]
        step_ns = random.choice(steps_ns)
        numbers = (random.randrange(64), random.randrange(64), random.randrange(64), random.randrange(64))
        drawn.append(
            Choice(
                what=random.choice(_WHATS[of]),
                symbol=random.choice((0, 0, 0, 1, 1, 2)),
                step_ns=max(0, step_ns) if of == "calm" else step_ns,
                numbers=numbers,
                is_last=random.random() < 0.85,
                cuts=random.random() < 0.25,
            )
        )
    return drawn


seeds: Final = st.integers(0, 2**32 - 1)
lengths: Final = st.integers(1, 250)


@dataclass
class Player:
    """Play choices into frames of one kind."""

    kind: TickKind
    now: int = MIDNIGHT - 2_000 * MS
    latest: int = 0
    not_before: int = 0  # what is older than a gap does not come after it
    sequence: int = 0
    next_order_id: int = 1
    frame: int = 0
    session: int = 0
    resumes: tuple[str, int] | None = None
    known: dict[int, dict[int, tuple[str, int, int]]] = field(default_factory=lambda: {0: {}, 1: {}, 2: {}})
    records: list[Record] = field(default_factory=list)
    unfinished: dict[int, Record] = field(default_factory=dict)
    gap: dict[str, Any] | None = None

    def play(self, choices: list[Choice]) -> Iterator[TickFrame]:
        for choice in choices:
            if choice.what in _MARKS:
                self._finish_events()
                yield from self._cut()
                yield from self._mark(choice)
                continue
            self.now = max(self.now + choice.step_ns, self.not_before)
            self.latest = max(self.latest, self.now)
            begin = len(self.records)
            getattr(self, f"_{choice.what}")(choice)
            if choice.is_last and len(self.records) > begin and not self.records[-1]["flags"] & F_SNAPSHOT:
                self.records[-1]["flags"] |= F_LAST
            for record in self.records[begin:]:
                self.unfinished[record["symbol"]] = record
                if record["flags"] & F_LAST:
                    del self.unfinished[record["symbol"]]
            if choice.cuts:
                yield from self._cut()
        yield from self._cut()

    # Orders -----------------------------------------------------------------------------------------------------------

    def _emit(self, choice: Choice, action: str, side: str, price: int | None, size: int, **others: object) -> Record:
        self.sequence += 1
        record: Record = {
            "ts_event": self.now,
            "ts_recv": self.now + 50_000,
            "ts_in_delta": 11_000,
            "symbol": choice.symbol,
            "action": action,
            "side": side,
            "price": price,
            "size": size,
            "flags": 0,
            "sequence": self.sequence,
            "order_id": 0,
            "depth": 0,
            **others,
        }
        self.records.append(record)
        return record

    def _finish_events(self) -> None:
        """End what is unfinished, as a producer does (by dropping it) before it says anything but ticks."""
        for record in list(self.unfinished.values()):
            nothing = {"action": "N", "side": "N", "size": 0, "order_id": 0}
            self.records.append({**record, **nothing, "flags": record["flags"] | F_LAST})
        self.unfinished.clear()

    def _add(self, choice: Choice) -> None:
        a, b, c, d = choice.numbers
        side = "AB"[a % 2]
        price = _price(side, b)
        known = self.known[choice.symbol]
        order_id = sorted(known)[c % len(known)] if known and d % 12 == 0 else self._new_order_id()
        size = 1 + d % 20
        known[order_id] = (side, price, size)
        self._emit(choice, "A", side, price, size, order_id=order_id)

    def _cancel(self, choice: Choice) -> None:
        a, b, c, _ = choice.numbers
        order_id, (side, price, size) = self._pick(choice, unknown=a % 10 == 0, nth=b)
        taken = (size, size, size, 1 + c % size, size + 3)[c % 5]
        if taken < size:
            self.known[choice.symbol][order_id] = (side, price, size - taken)
        else:
            self.known[choice.symbol].pop(order_id, None)
        self._emit(choice, "C", side, price, taken, order_id=order_id)

    def _modify(self, choice: Choice) -> None:
        a, b, c, d = choice.numbers
        order_id, (side, price, size) = self._pick(choice, unknown=a % 10 == 0, nth=b)
        price = _price(side, d) if c % 3 else price
        size = 1 + d % 20 if c % 2 else size
        self.known[choice.symbol][order_id] = (side, price, size)
        self._emit(choice, "M", side, price, size, order_id=order_id)

    def _trade(self, choice: Choice) -> None:
        """An aggressor, perhaps a resting order amended to cross, prints against orders that go, shrink or refresh."""
        a, b, c, d = choice.numbers
        aggressor = "ABN"[a % 3] if a % 7 == 0 else "AB"[a % 2]
        known = self.known[choice.symbol]
        against = [oid for oid, order in sorted(known.items()) if order[0] != aggressor][b % 3 :][: 1 + c % 3]
        own = [oid for oid, order in sorted(known.items()) if order[0] == aggressor]
        aggressor_id = 0 if d % 5 == 0 else own[d % len(own)] if own and d % 5 == 1 else self._new_order_id()
        reductions = []
        for order_id in against:
            side, price, size = known[order_id]
            filled = (size, 1 + d % size, size + 5)[(c + order_id) % 3]
            self._emit(choice, "T", aggressor, price, filled, order_id=aggressor_id)
            if aggressor_id in known:
                self._emit(choice, "F", aggressor, price, filled, order_id=aggressor_id)
            self._emit(choice, "F", side if d % 6 else "N", price, filled, order_id=order_id)
            reductions.append((order_id, side, price, size, filled))
        if aggressor == "N" and not against:
            self._emit(choice, "T", "N", MID, 1 + d, order_id=0)
        for order_id, side, price, size, filled in reductions:
            if filled < size:
                known[order_id] = (side, price, size - filled)
                self._emit(choice, "M", side, price, size - filled, order_id=order_id)
            elif filled > size:
                known[order_id] = (side, price, 2)
                self._emit(choice, "M", side, price, 2, order_id=order_id)
            else:
                del known[order_id]
                self._emit(choice, "C", side, price, size, order_id=order_id)
        if aggressor_id in known:
            side, price, size = known.pop(aggressor_id)
            self._emit(choice, "C", side, price, size, order_id=aggressor_id)

    def _snapshot(self, choice: Choice) -> None:
        a, b, c, d = choice.numbers
        flags = F_SNAPSHOT | F_BAD_TS_RECV
        known = self.known[choice.symbol]
        if self.kind == "l1":
            self._quote(choice)
            self.records[-1]["flags"] = flags | F_LAST
            self.records[-1]["ts_event"] -= 86_400_000 * MS
            return
        kept = dict(list(known.items())[: c % 8])
        known.clear()
        if a % 4:
            self._emit(choice, "R", "N", None, 0, flags=flags)
        for i in range(b % 6):
            kept[self._new_order_id()] = ("AB"[i % 2], _price("AB"[i % 2], d + i), 1 + (d + i) % 9)
        for order_id, (side, price, size) in kept.items():
            self._emit(choice, "A", side, price, size, order_id=order_id, flags=flags)
            self.records[-1]["ts_event"] -= order_id * 1_000_000 * MS
            known[order_id] = (side, price, size)
        if self.records and choice.is_last and self.records[-1]["flags"] & F_SNAPSHOT:
            self.records[-1]["flags"] |= F_LAST

    def _clear(self, choice: Choice) -> None:
        self.known[choice.symbol].clear()
        self._emit(choice, "R", "N", None, 0, **_tops(None, None))

    def _bad(self, choice: Choice) -> None:
        if self.kind == "l1":
            self._quote(choice)
        else:
            self._add(choice)
        self.records[-1]["flags"] |= F_MAYBE_BAD_BOOK

    def _none(self, choice: Choice) -> None:
        self._emit(choice, "N", "N", None, 0)

    def _pick(self, choice: Choice, *, unknown: bool, nth: int) -> tuple[int, tuple[str, int, int]]:
        known = self.known[choice.symbol]
        if unknown or not known:
            side = "AB"[nth % 2]
            return self._new_order_id(), (side, _price(side, nth), 1 + nth % 9)
        order_id = sorted(known)[nth % len(known)]
        return order_id, known[order_id]

    def _new_order_id(self) -> int:
        self.next_order_id += 1
        return self.next_order_id

    # Quotes and prints ------------------------------------------------------------------------------------------------

    def _quote(self, choice: Choice) -> None:
        a, b, c, d = choice.numbers
        bid = None if c % 9 == 0 else (MID - TICK * (1 + a % 4), 1 + b % 17)
        ask = None if c % 9 == 1 else (MID + TICK * (a % 5 - 2 if c % 9 == 2 else b % 4), 1 + d % 17)
        self._emit(choice, "ACMN"[d % 4], "AB"[a % 2], MID, 1 + b, **_tops(bid, ask))

    def _print(self, choice: Choice) -> None:
        a, b, c, d = choice.numbers
        side = "AABBAABBN"[a % 9]
        bid, ask = (MID - TICK, 1 + c), (MID, 1 + d)
        for i in range(1 + b % 3):
            self._emit(choice, "T", side, MID + TICK * (i if c % 2 else 0), 1 + (d + i) % 9, **_tops(bid, ask))

    # Frames and marks -------------------------------------------------------------------------------------------------

    def _cut(self) -> Iterator[TickFrame]:
        if self.records:
            fields = [column.name for column in COLUMNS[self.kind]]
            yield tick_frame(
                self.kind,
                fields,
                [[record[name] for name in fields] for record in self.records],
                symbols=SYMBOLS,
                classes=CLASSES,
                session=str(self.session),
                frame=self.frame,
                resumes=self.resumes,
                continues=not self.records[-1]["flags"] & F_LAST,
            )
            self.frame += 1
            self.records, self.resumes = [], None

    def _mark(self, choice: Choice) -> Iterator[TickFrame]:
        a, b, _, _ = choice.numbers
        self.now = max(self.now + choice.step_ns, self.not_before)
        self.latest = max(self.latest, self.now)
        at, session = self.now - self.now % MS, str(self.session)
        match choice.what:
            case "clock":
                clock: dict[str, int] = {self.kind: at + (a - 20) * 20 * MS, "statistics": at + 10_000_000 * MS}
                yield clock_frame(clock, session=session)
            case "gap" if self.gap is None:
                self.sequence += 1
                symbols = (("*",), SYMBOLS[:1], SYMBOLS[:2])[b % 3]
                self.gap = {
                    "kinds": (self.kind,),
                    "gap_symbols": symbols,
                    "gap_id": f"{self.kind}-{self.sequence}",
                    "ts_event_from": self.latest,
                }
                self.not_before = self.latest
                yield gap_frame("open", session=session, **self.gap)
            case "bounded" if self.gap is not None:
                gap, self.gap = self.gap, None
                self.not_before = self.latest + 1
                yield gap_frame("bounded", session=session, ts_event_to=self.not_before, **gap)
            case "status":
                yield status_frame([(at, "YYN~"[a % 4], b % 2)], symbols=SYMBOLS, classes=CLASSES, session=session)
            case "restart":
                if a % 4 and self.frame:
                    self.resumes = (session, self.frame - 1)
                else:
                    self.resumes = None
                    for known in self.known.values():
                        known.clear()
                self.session, self.frame = self.session + 1, 0


def _price(side: str, number: int) -> int:
    """A price around the middle: mostly on its own side of it, sometimes across, far away, negative or off the grid."""
    if number in ODD_PRICES:
        return ODD_PRICES[number]
    return MID + TICK * (number % 7 - 1 if side == "A" else 1 - number % 7)


def _tops(bid: tuple[int, int] | None, ask: tuple[int, int] | None) -> Record:
    return {
        "bid_price": bid and bid[0],
        "bid_size": bid[1] if bid else 0,
        "bid_count": 1 if bid else 0,
        "ask_price": ask and ask[0],
        "ask_size": ask[1] if ask else 0,
        "ask_count": 1 if ask else 0,
    }


def play(kind: TickKind, choices: list[Choice]) -> list[TickFrame]:
    """The frames of a flow, and a clock at the end that closes every window."""
    player = Player(kind)
    frames = list(player.play(choices))
    return [*frames, clock_frame({kind: player.latest + 100_000 * MS}, session=str(player.session))]
