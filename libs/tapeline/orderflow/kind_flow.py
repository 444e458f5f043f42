"""Hold the option flow of one kind of one stream: its watermark, its gaps, and the windows of each expiry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from tapeline.model.columns import INT64_MAX, INT64_MIN
from tapeline.model.frames import Gap
from tapeline.orderflow.continuity import EVERY_SYMBOL
from tapeline.orderflow.contracts import ContractBook, Expiry
from tapeline.orderflow.flow_windows import ClosedWindow, ExpiryWindows, OptionTrade

_UNTIL_NEXT: Final = INT64_MAX - 1
_MOST_GAPS: Final = 64


class _Missing(NamedTuple):
    """From when until when records of some symbols are missing; until the next record where the end is not told."""

    begin: int
    end: int
    symbols: tuple[str, ...]


class FlowRow(NamedTuple):
    """A closed window of an expiry."""

    expiry: Expiry
    window: ClosedWindow


@dataclass(slots=True)
class KindFlow:
    """The option flow of one kind of one stream, of one dataset. `closed` are the rows that nobody has taken yet.

    Windows that begin before `lost_until` (ns since the epoch) lack records, of any symbol.
    """

    contracts: ContractBook
    dataset: str
    lengths_ns: Sequence[int]
    watermark: int = INT64_MIN
    lost_until: int = INT64_MIN
    expiries: dict[Expiry, ExpiryWindows] = field(default_factory=dict)
    missing: dict[str, _Missing] = field(default_factory=dict)
    closed: list[FlowRow] = field(default_factory=list)
    _next_deadline: int = INT64_MAX

    def advance(self, ts: int) -> None:
        """Raise the watermark to `ts` and close what it has passed."""
        if ts <= self.watermark:
            return
        self.watermark = ts
        if ts >= self._next_deadline:
            self._close(ts)

    def add(self, expiry: Expiry, trade: OptionTrade) -> None:
        """Add a trade to the windows that it falls into, after closing those that it is past."""
        windows = self.expiries.get(expiry)
        if windows is None:
            windows = self.expiries[expiry] = ExpiryWindows(self.lengths_ns)
        self.closed += [FlowRow(expiry, window) for window in windows.past(trade.ts_event)]

        def touched(begin: int, end: int) -> bool:
            return self._lacks(expiry, begin, end)

        for sums in windows.enter(trade.ts_event, self.watermark, touched):
            sums.add(trade)
        self._next_deadline = min(self._next_deadline, windows.next_deadline())

    def take_rows(self) -> list[FlowRow]:
        """Return the rows that were closed, in their order."""
        rows, self.closed = self.closed, []
        return rows

    # -- what is missing ---------------------------------------------------------------------------------------------

    def begin_anew(self) -> None:
        """Close every window that is open, as one that lacks records, and forget what is known of the session."""
        self._touch(INT64_MIN, INT64_MAX, (EVERY_SYMBOL,))
        self._close(None)
        self.expiries.clear()
        self.watermark = self.lost_until = INT64_MIN

    def lose_until(self, ts: int) -> None:
        """Take note that records before `ts`, that of the first one that is there again, are missing."""
        self.lost_until = max(self.lost_until, ts + 1)
        self._touch(INT64_MIN, self.lost_until, (EVERY_SYMBOL,))

    def gap(self, gap: Gap) -> None:
        """Take a gap; one that is known only changes its bounds."""
        begin = INT64_MIN if gap.ts_event_from is None else gap.ts_event_from
        end = gap.ts_event_to
        if end is None:
            end = INT64_MAX if gap.state == "open" else _UNTIL_NEXT
        if gap.id not in self.missing:
            self._touch(begin, end, gap.symbols)
        elif gap.state == "open":
            return
        self.missing.pop(gap.id, None)
        self.missing[gap.id] = _Missing(begin, end, gap.symbols)
        over = [gap_id for gap_id, missing in self.missing.items() if missing.end != INT64_MAX]
        for gap_id in over[:-_MOST_GAPS]:
            del self.missing[gap_id]

    def resume(self, ts: int) -> None:
        """Let the gaps whose end was not told end with the record at `ts`."""
        for gap_id, missing in self.missing.items():
            if missing.end == _UNTIL_NEXT:
                self.missing[gap_id] = missing._replace(end=ts + 1)

    def _touch(self, begin: int, end: int, symbols: tuple[str, ...]) -> None:
        for expiry, windows in self.expiries.items():
            if not self._is_of(expiry, symbols):
                continue
            for sums, length in zip(windows.open, self.lengths_ns, strict=True):
                if sums is not None and begin < sums.start + length and sums.start < end:
                    sums.is_touched = True

    def _lacks(self, expiry: Expiry, begin: int, end: int) -> bool:
        return begin < self.lost_until or any(
            missing.begin < end and begin < missing.end and self._is_of(expiry, missing.symbols)
            for missing in self.missing.values()
        )

    def _is_of(self, expiry: Expiry, symbols: tuple[str, ...]) -> bool:
        if symbols == (EVERY_SYMBOL,):
            return True
        found = (self.contracts.find(self.dataset, symbol) for symbol in symbols)
        return any(each is not None and self.contracts.counted_in(each) == expiry for each in found)

    # -- closing -----------------------------------------------------------------------------------------------------

    def _close(self, watermark: int | None) -> None:
        """Close what is due, by deadline, then in the order in which expiries came to trade: whatever the jumps."""
        due = [
            (deadline, number, window.level, FlowRow(expiry, window))
            for number, (expiry, windows) in enumerate(self.expiries.items())
            for deadline, window in windows.due(watermark)
        ]
        self.closed += [row for *_, row in sorted(due, key=lambda each: each[:3])]
        self._next_deadline = min((windows.next_deadline() for windows in self.expiries.values()), default=INT64_MAX)

    # -- checkpoints -------------------------------------------------------------------------------------------------

    def document(self) -> dict[str, Any]:
        """Return the flow as it is packed."""
        return {
            "watermark": self.watermark,
            "lost_until": self.lost_until,
            "expiries": [[*expiry, windows.document()] for expiry, windows in self.expiries.items()],
            "missing": [[gap_id, *missing] for gap_id, missing in self.missing.items()],
        }

    def restore(self, document: dict[str, Any]) -> None:
        """Take over what was packed."""
        self.watermark, self.lost_until = document["watermark"], document["lost_until"]
        for dataset, underlying, at, windows in document["expiries"]:
            restored = ExpiryWindows.of(windows, self.lengths_ns)
            self.expiries[Expiry(dataset, underlying, at)] = restored
            self._next_deadline = min(self._next_deadline, restored.next_deadline())
        for gap_id, begin, end, symbols in document["missing"]:
            self.missing[gap_id] = _Missing(begin, end, tuple(symbols))
