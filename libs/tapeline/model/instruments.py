"""Instruments of md.instruments.v1: what a vendor's instrument id stands for on one trading day."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

TOPIC: Final = "md.instruments.v1"

Right = Literal["call", "put"]
Style = Literal["american", "european"]
UpdateAction = Literal["A", "M", "D"]
TickBasis = Literal["definition", "assumed"]

RIGHTS: Final[dict[str, Right]] = {"C": "call", "P": "put"}
"""The right that a DBN instrument class has; every other class has none."""
STYLES: Final[tuple[Style, ...]] = ("american", "european")
UPDATE_ACTIONS: Final[tuple[UpdateAction, ...]] = ("A", "M", "D")
TICK_BASES: Final[tuple[TickBasis, ...]] = ("definition", "assumed")
SIDES: Final = ("A", "B", "N")


@dataclass(frozen=True, slots=True)
class TickStep:
    """The smallest step of prices up to and including `up_to`, or of all above the step before where that is None."""

    up_to: int | None
    increment: int


@dataclass(frozen=True, slots=True)
class TickRule:
    """How prices step, from the lowest on; `assumed`: the definition does not say, and the product's rule is known."""

    basis: TickBasis
    steps: tuple[TickStep, ...]


@dataclass(frozen=True, slots=True)
class Leg:
    """One leg of a spread: what is bought (`B`) or sold (`A`), and how many per spread as numerator and denominator.

    `price` and `delta` (exponent -9) are there for spreads that fix them, such as covered options.
    """

    instrument_id: int
    raw_symbol: str
    instrument_class: str
    side: str
    quantity_numerator: int
    quantity_denominator: int
    price: int | None
    delta: int | None


@dataclass(frozen=True, slots=True)
class Instrument:
    """One instrument on one trading day; vendors use ids again, so it is valid on that day only.

    Numbers have exponent -9, times are ns since the epoch; None is what the definition does not say, which is not 0.
    `instrument_class`, `update_action` and the legs' sides are DBN's letters, whatever the vendor. `parent` is the
    symbol that stands for all instruments of its product and kind, such as ``NQ.FUT`` or ``Q2D.OPT``. `multiplier` is
    money per point. `legs` is None where a spread's definition does not name them.
    """

    source: str
    dataset: str
    trading_day: str
    instrument_id: int
    raw_symbol: str
    instrument_class: str
    asset: str | None
    group: str | None
    parent: str | None
    underlying: str | None
    underlying_id: int | None
    expiry: int | None
    activation: int | None
    strike: int | None
    style: Style | None
    tick: TickRule | None
    multiplier: int | None
    currency: str | None
    user_defined: bool
    legs: tuple[Leg, ...] | None
    update_action: UpdateAction | None
    ts_recv: int

    @property
    def right(self) -> Right | None:
        """The right of an option, None for everything else."""
        return RIGHTS.get(self.instrument_class)

    @property
    def key(self) -> str:
        """The message's key."""
        return f"{self.dataset}/{self.trading_day}/{self.instrument_id}"


_FUTURE: Final = re.compile(r"([A-Z0-9]+?)[FGHJKMNQUVXZ]\d{1,2}")


def product_of_future(raw_symbol: str) -> str | None:
    """Return the product in the raw symbol of an outright CME future (``NQ`` of ``NQZ6``), None where it is none."""
    form = _FUTURE.fullmatch(raw_symbol)
    return form and form[1]
