"""Sum the trades of one expiry over nested windows of event time: which windows they fall into, and when these close.

Windows open, close and count what is late as those of pressure do (windows.py); what is an event there is a trade here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tapeline.model.columns import INT64_MAX
from tapeline.model.windows import CLOSE_AFTER_NS
from tapeline.orderflow.recent_chains import Sensitivity

BUYER = ord("B")
SELLER = ord("A")
_BUY, _SELL, _UNSIGNED = 0, 1, 2
_E18 = 10**18


class Contract(NamedTuple):
    """A listed option; `strike` and `multiplier` have exponent -9."""

    is_call: bool
    strike: int
    multiplier: int | None


class OptionTrade(NamedTuple):
    """A trade of a `contract`, or of a user-defined spread where that is None.

    `side` is the aggressor's letter code, `price` has exponent -9. `greeks` are those of the chain before it.
    """

    ts_event: int
    side: int
    price: int | None
    size: int
    contract: Contract | None = None
    greeks: Sensitivity | None = None


@dataclass(slots=True)
class FlowSums:
    """What was traded in one window, [`start`, `start` + its length) ns.

    `volumes`: (strike, is_call) -> lots bought, sold, and without a side. `premiums`: by is_call, signed money in
    1e-18, None where a trade's price or multiplier is not known; no entry before the first signed trade.
    """

    start: int
    is_touched: bool
    volumes: dict[tuple[int, bool], list[int]] = field(default_factory=dict)
    premiums: dict[bool, int | None] = field(default_factory=dict)
    delta_flow: float | None = None
    vega_flow: float | None = None
    delta_missing_volume: int = 0
    user_defined_volume: int = 0
    chain_as_of: int | None = None
    underlying_price: int | None = None

    def add(self, trade: OptionTrade) -> None:
        """Add a trade."""
        contract = trade.contract
        if contract is None:
            self.user_defined_volume += trade.size
            return
        lots = self.volumes.setdefault((contract.strike, contract.is_call), [0, 0, 0])
        sign = (trade.side == BUYER) - (trade.side == SELLER)
        lots[_BUY if sign > 0 else _SELL if sign < 0 else _UNSIGNED] += trade.size
        if sign:
            self._add_signed(trade, contract, sign * trade.size)

    def _add_signed(self, trade: OptionTrade, contract: Contract, lots: int) -> None:
        premium = self.premiums.get(contract.is_call, 0)
        if premium is None or trade.price is None or contract.multiplier is None:
            self.premiums[contract.is_call] = None
        else:
            self.premiums[contract.is_call] = premium + lots * trade.price * contract.multiplier
        greeks = trade.greeks
        if greeks is None:
            self.delta_missing_volume += abs(lots)
            return
        self.delta_flow = (self.delta_flow or 0.0) + lots * greeks.delta
        self.vega_flow = (self.vega_flow or 0.0) + lots * greeks.vega
        if self.chain_as_of is None or greeks.chain_as_of >= self.chain_as_of:
            self.chain_as_of, self.underlying_price = greeks.chain_as_of, greeks.underlying_price

    def volume(self, is_call: bool, side: int) -> int:
        """Return the lots of calls or puts: 0 bought, 1 sold, 2 without a side."""
        return sum(lots[side] for (_, call), lots in self.volumes.items() if call == is_call)

    def premium(self, is_call: bool) -> float | None:
        """Return the signed money paid for calls or puts."""
        premium = self.premiums.get(is_call)
        return None if premium is None else premium / _E18

    def document(self) -> dict[str, Any]:
        """Return the sums as they are packed: the premiums pass 64 bits."""
        return {
            "start": self.start,
            "is_touched": self.is_touched,
            "volumes": [[strike, is_call, lots] for (strike, is_call), lots in self.volumes.items()],
            "premiums": [[is_call, None if sum_ is None else str(sum_)] for is_call, sum_ in self.premiums.items()],
            "delta_flow": self.delta_flow,
            "vega_flow": self.vega_flow,
            "delta_missing_volume": self.delta_missing_volume,
            "user_defined_volume": self.user_defined_volume,
            "chain_as_of": self.chain_as_of,
            "underlying_price": self.underlying_price,
        }

    @staticmethod
    def of(document: dict[str, Any]) -> FlowSums:
        """Return the sums that were packed."""
        return FlowSums(
            **{
                **document,
                "volumes": {(strike, is_call): lots for strike, is_call, lots in document["volumes"]},
                "premiums": {is_call: None if sum_ is None else int(sum_) for is_call, sum_ in document["premiums"]},
            }
        )


class ClosedWindow(NamedTuple):
    """A window that has closed: its length as a position in the lengths, what was traded, and how much came late."""

    level: int
    sums: FlowSums
    late_count: int


@dataclass(slots=True)
class ExpiryWindows:
    """The open windows of one expiry, the shortest first; `lengths_ns` each divide the next."""

    lengths_ns: Sequence[int]
    open: list[FlowSums | None] = field(default_factory=list)
    late: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not self.open:
            self.open = [None] * len(self.lengths_ns)
            self.late = [0] * len(self.lengths_ns)

    def past(self, ts: int) -> Iterator[ClosedWindow]:
        """Close the windows that end at or before a trade's time."""
        for level, length in enumerate(self.lengths_ns):
            sums = self.open[level]
            if sums is not None:
                if ts < sums.start + length:
                    return
                yield self._close(level, sums)

    def due(self, watermark: int | None) -> Iterator[tuple[int, ClosedWindow]]:
        """Close the windows that the watermark has passed, all where it is None; yield each with its deadline."""
        for level, length in enumerate(self.lengths_ns):
            if (sums := self.open[level]) is not None:
                deadline = sums.start + length + CLOSE_AFTER_NS
                if watermark is None or deadline <= watermark:
                    yield deadline, self._close(level, sums)

    def next_deadline(self) -> int:
        """Return the watermark at which the first open window closes; where none is open, one that never comes."""
        pairs = zip(self.open, self.lengths_ns, strict=True)
        return min((sums.start + length + CLOSE_AFTER_NS for sums, length in pairs if sums), default=INT64_MAX)

    def enter(self, ts: int, watermark: int, touched: Callable[[int, int], bool]) -> Iterator[FlowSums]:
        """Yield the windows that a trade falls into, freshly opened where need be; count it where it is late.

        `touched` says of a window, by its begin and end, whether records of it are missing.
        """
        for level, length in enumerate(self.lengths_ns):
            sums = self.open[level]
            start = ts // length * length
            is_late = start + length + CLOSE_AFTER_NS <= watermark if sums is None else ts < sums.start
            if is_late:
                self.late[level] += 1
            else:
                if sums is None:
                    sums = self.open[level] = FlowSums(start, touched(start, start + length))
                yield sums

    def document(self) -> dict[str, Any]:
        """Return the windows as they are packed."""
        return {
            "open": [None if sums is None else sums.document() for sums in self.open],
            "late": self.late,
        }

    def _close(self, level: int, sums: FlowSums) -> ClosedWindow:
        closed = ClosedWindow(level, sums, self.late[level])
        self.open[level], self.late[level] = None, 0
        return closed

    @staticmethod
    def of(document: dict[str, Any], lengths_ns: Sequence[int]) -> ExpiryWindows:
        """Return the windows that were packed."""
        open_ = [None if sums is None else FlowSums.of(sums) for sums in document["open"]]
        return ExpiryWindows(lengths_ns, open_, document["late"])
