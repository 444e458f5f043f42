"""Which columns a tick frame of each kind has, with their ranges. The JSON Schema says the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

TickKind = Literal["mbo", "l1", "trade", "status", "statistics"]
MarkKind = Literal["gap", "clock", "claim"]
Kind = Literal["mbo", "l1", "trade", "status", "statistics", "gap", "clock", "claim"]

TICK_KINDS: Final[tuple[TickKind, ...]] = ("mbo", "l1", "trade", "status", "statistics")
MARK_KINDS: Final[tuple[MarkKind, ...]] = ("gap", "clock", "claim")

INT64_MAX: Final = 2**63 - 1
INT64_MIN: Final = -(2**63)


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `letters` for text (one ASCII letter per tick), else integers within [low, high].

    In memory a text column is uint8 (the letters' codes), `order_id` is uint64, every other one int64.
    """

    name: str
    low: int = 0
    high: int = 0
    letters: str = ""
    can_be_undefined: bool = False

    @property
    def is_text(self) -> bool:
        """Whether the column is one letter per tick."""
        return bool(self.letters)

    @property
    def is_unsigned(self) -> bool:
        """Whether its integers pass the signed 64-bit range."""
        return self.high > INT64_MAX

    @property
    def dtype(self) -> str:
        """The numpy dtype in memory, little-endian."""
        return "u1" if self.is_text else "<u8" if self.is_unsigned else "<i8"


def _time(name: str, *, can_be_undefined: bool = False) -> Column:
    return Column(name, INT64_MIN, INT64_MAX, can_be_undefined=can_be_undefined)


def _price(name: str) -> Column:
    return Column(name, INT64_MIN, INT64_MAX, can_be_undefined=True)


def _unsigned(name: str, bits: int, *, can_be_undefined: bool = False) -> Column:
    return Column(name, 0, 2**bits - 1, can_be_undefined=can_be_undefined)


_TIMES = (_time("ts_event", can_be_undefined=True), _time("ts_recv", can_be_undefined=True))
_TICK = (*_TIMES, Column("ts_in_delta", -(2**31), 2**31 - 1), _unsigned("symbol", 31))
_ORDER = (_unsigned("sequence", 32), _unsigned("flags", 8))
_ACTION = Column("action", letters="ACMRTFN")
_SIDE = Column("side", letters="ABN")

COLUMNS: Final[dict[TickKind, tuple[Column, ...]]] = {
    "mbo": (
        *_TICK,
        _ACTION,
        _SIDE,
        _price("price"),
        _unsigned("size", 32, can_be_undefined=True),
        _unsigned("order_id", 64),
        *_ORDER,
    ),
    "l1": (
        *_TICK,
        _ACTION,
        _SIDE,
        _price("price"),
        _unsigned("size", 32, can_be_undefined=True),
        _unsigned("depth", 8),
        _price("bid_price"),
        _unsigned("bid_size", 32),
        _unsigned("bid_count", 32),
        _price("ask_price"),
        _unsigned("ask_size", 32),
        _unsigned("ask_count", 32),
        *_ORDER,
    ),
    "trade": (*_TICK, _SIDE, _price("price"), _unsigned("size", 32, can_be_undefined=True), *_ORDER),
    "status": (
        *_TIMES,
        _unsigned("symbol", 31),
        _unsigned("action", 16),
        _unsigned("reason", 16),
        Column("is_trading", letters="YN~"),
        Column("is_quoting", letters="YN~"),
    ),
    "statistics": (
        *_TICK,
        _unsigned("stat_type", 16),
        _price("price"),
        Column("quantity", INT64_MIN, INT64_MAX, can_be_undefined=True),
        _time("ts_ref", can_be_undefined=True),
        _unsigned("update_action", 8),
        _unsigned("stat_flags", 8),
        *_ORDER,
    ),
}
"""Columns per tick kind. Times are offsets in ns from the frame's `ts_base`; prices have exponent -9 (DBN)."""

F_LAST: Final = 128
F_TOB: Final = 64
F_SNAPSHOT: Final = 32
F_BAD_TS_RECV: Final = 8
F_MAYBE_BAD_BOOK: Final = 4
