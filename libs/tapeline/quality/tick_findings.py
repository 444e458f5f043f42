"""What the rules for ticks are called, how grave a finding is, and how it is told. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from tapeline.model.chain_quality import Severity
from tapeline.model.quality import MOST_NAMED
from tapeline.model.tick_quality import TickFinding
from tapeline.quality.tick_kernels.layout import COUNT, FIRST_AT, RULES, RULES_FROM, WIDTH, WORST, Int64s


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: its id, what it means to break it, and how grave that is.

    What was worst is told as `number`, in units of `unit`; above `grave_above` (as it is measured) the finding is
    as grave as `severity` says, else as `mild`.
    """

    name: str
    detail: str
    severity: Severity
    number: str = ""
    unit: float = 1.0
    grave_above: int = -1
    mild: Severity = "warning"

    def finding(self, symbol: str, count: int, first_at: int, worst: int, detail: str = "") -> TickFinding:
        """Return what was found of a symbol; `detail` says more than the rule's own."""
        return TickFinding(
            rule=self.name,
            severity=self.severity if abs(worst) > self.grave_above else self.mild,
            symbol=symbol,
            count=count,
            first_at=first_at,
            detail=detail or self.detail,
            numbers={self.number: worst / self.unit} if self.number else {},
        )


_S: Final = 1e9
_MS: Final = 1e6
_POINT: Final = 1e9

COMPILED: Final = (
    Rule("01_crossed", "the bid is above the ask", "error", "longest_ms", _MS, 100_000_000),
    Rule("02_locked", "the bid is the ask", "warning", "longest_ms", _MS, 1_000_000_000, "info"),
    Rule("03_not_positive", "a price or a size is not above 0", "error", "price", _POINT),
    Rule("04_undefined", "a value that stands for none is told as if it were one", "error"),
    Rule("05_off_grid", "a price is no multiple of the instrument's step", "warning", "price", _POINT),
    Rule("06_stale", "nothing comes of it, while the rest of the stream goes on", "error", "longest_s", _S, 60 * 10**9),
    Rule("07_clock_skew", "received before the venue's time, or long after it", "warning", "worst_ms", _MS),
    Rule("08_time_order", "the venue's time runs back", "warning", "furthest_ms", _MS),
    Rule("08_sequence_order", "the venue's sequence runs back", "warning", "furthest"),
    Rule("10_bad_book", "the vendor says that the book may be bad", "error"),
    Rule("11_duplicate", "a tick is told twice", "info"),
    Rule("12_outlier", "a trade is far from those before it", "warning", "price", _POINT),
    Rule("15_price_bands", "a trade is outside of the venue's price limits", "error", "price", _POINT),
    Rule("17_definition", "ticks of what the day's definitions do not name", "error"),
)
"""By their numbers in `tick_kernels.layout`."""

NOTED: Final = {
    "lost_frames": Rule("09_lost_frames", "frames are missing between two that came", "error", "frames"),
    "gap": Rule("10_gap", "the tape has a gap", "error"),
    "repeated": Rule("11_duplicate", "a frame came again, and was passed over", "info"),
    "crossed_book": Rule("01_crossed", "the book was crossed at the end of an event", "warning"),
    "locked_book": Rule("02_locked", "the book was locked at the end of an event", "info"),
    "unknown_order": Rule("18_unknown_order", "an order is changed or cancelled that is not in the book", "error"),
}
"""What is found without looking at ticks."""

_GRAVITY: Final = {"error": 0, "warning": 1, "info": 2}


def compiled_findings(state: Int64s, symbols: list[str]) -> list[TickFinding]:
    """Return what the kernels have counted of the symbols, by their slots."""
    counted = state.reshape(-1, WIDTH)[1 : len(symbols) + 1, RULES_FROM : RULES_FROM + 3 * RULES]
    rows, rules = np.nonzero(counted[:, COUNT::3])
    return [
        COMPILED[rule].finding(
            symbols[row],
            count=int(counted[row, 3 * rule + COUNT]),
            first_at=int(counted[row, 3 * rule + FIRST_AT]),
            worst=int(counted[row, 3 * rule + WORST]),
        )
        for row, rule in zip(rows.tolist(), rules.tolist(), strict=True)
    ]


def named(findings: Iterable[TickFinding]) -> tuple[TickFinding, ...]:
    """Return the findings that a report names: by rule, of each the gravest."""
    ordered = sorted(findings, key=lambda each: (each.rule, _GRAVITY[each.severity], -each.count, each.symbol))
    told: dict[str, int] = {}
    out = []
    for finding in ordered:
        told[finding.rule] = told.get(finding.rule, 0) + 1
        if told[finding.rule] <= MOST_NAMED:
            out.append(finding)
    return tuple(out)
