"""How far this computer's clock is from the vendor's, from times that the vendor has stamped. Pure.

A stamp lies between the moment at which it was asked for and the moment at which it arrived, both by the local clock;
so each one bounds the difference of the two clocks, whatever the network takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tapeline.feed.doctor import Check

NAME: Final = "clock"
WARNING_NS: Final = 100_000_000
RED_NS: Final = 1_000_000_000
"""A latency would be wrong by more than it may be large, and so would silences."""

_REMEDY: Final = "let NTP set this computer's clock, for example: timedatectl set-ntp true (or chronyc makestep)"


@dataclass(slots=True)
class ClockBounds:
    """Bounds of the local time minus the vendor's, ns; None before anything was heard."""

    lowest_ns: int | None = None
    highest_ns: int | None = None

    def answered(self, at_ns: int, asked_ns: int, arrived_ns: int) -> None:
        """Take note of a stamp `at_ns` of the vendor's, in answer to what was asked at `asked_ns` (local)."""
        if at_ns <= 0:
            return
        low_ns = asked_ns - at_ns
        self.lowest_ns = low_ns if self.lowest_ns is None else max(self.lowest_ns, low_ns)
        self.arrived(at_ns, arrived_ns)

    def arrived(self, at_ns: int, arrived_ns: int) -> None:
        """Take note of a stamp that arrived at `arrived_ns` (local); when it was made is not known otherwise."""
        if at_ns <= 0:
            return
        high_ns = arrived_ns - at_ns
        self.highest_ns = high_ns if self.highest_ns is None else min(self.highest_ns, high_ns)


def clock_check(bounds: ClockBounds) -> Check:
    """Return whether the clock is right, as far as it is proven wrong: what the network takes is nobody's fault."""
    low_ns, high_ns = bounds.lowest_ns, bounds.highest_ns
    if low_ns is None or high_ns is None:
        return Check(NAME, "skipped", "the vendor has told no time in answer to anything")
    # Two clocks that run at different speeds, or one that was set meanwhile, leave no common difference.
    skew_ns = max(low_ns, 0) or min(high_ns, 0)
    said = f"local minus vendor's time is within [{_ms(low_ns)}, {_ms(high_ns)}] ms"
    if abs(skew_ns) <= WARNING_NS:
        return Check(NAME, "ok", said)
    which = "ahead of" if skew_ns > 0 else "behind"
    said = f"this computer's clock is at least {_ms(abs(skew_ns))} ms {which} the vendor's; {said}"
    if abs(skew_ns) <= RED_NS:
        return Check(NAME, "warning", said, _REMEDY)
    return Check(NAME, "red", f"{said}: latencies and silences cannot be told", _REMEDY)


def _ms(ns: int) -> str:
    return f"{ns / 1e6:,.1f}"
