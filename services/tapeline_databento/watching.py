"""Whether a market that should trade does: halts by status messages, and subscriptions that stall. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tapeline.feed.framer import Ticks
from tapeline.feed.source import Pair


class TradingStatus:
    """Which instruments trade, by the newest status of each; a status action alone does not tell it."""

    def __init__(self) -> None:
        self._is_trading: dict[int, bool] = {}

    def note(self, ticks: Ticks) -> None:
        """Take note of status ticks."""
        letters = ticks.columns["is_trading"].tolist()
        for instrument_id, letter in zip(ticks.instrument_ids.tolist(), letters, strict=True):
            if letter in b"YN":
                self._is_trading[instrument_id] = letter == ord("Y")

    def is_halted(self, instrument_ids: Iterable[int]) -> bool:
        """Return whether there is a status of some of these instruments, and none of them trades."""
        known = [self._is_trading[each] for each in instrument_ids if each in self._is_trading]
        return bool(known) and not any(known)


class StallWatch:
    """Finds a pair that is silent for longer than its limit (s) while its connection lives and its market trades.

    Times are of a clock that never goes back, s. Between two checks at most `longest_check_s` may pass: after a longer
    time it was this process that stood still.
    """

    def __init__(self, limits_s: Mapping[Pair, float], now_s: float, longest_check_s: float) -> None:
        self._limits_s = limits_s
        self._last_s = dict.fromkeys(limits_s, now_s)
        self._checked_s = now_s
        self._longest_check_s = longest_check_s

    def heard(self, pair: Pair, now_s: float) -> None:
        """Take note that ticks of a pair came."""
        if pair in self._last_s:
            self._last_s[pair] = now_s

    def stalled(self, now_s: float, quiet: Iterable[Pair]) -> tuple[Pair, float] | None:
        """Return a pair that has stalled, and for how long (s); those in `quiet` need not send anything now."""
        if now_s - self._checked_s > self._longest_check_s:
            self._last_s = dict.fromkeys(self._limits_s, now_s)
        self._checked_s = now_s
        self._last_s.update(dict.fromkeys((pair for pair in quiet if pair in self._last_s), now_s))
        for pair, limit_s in self._limits_s.items():
            if now_s - self._last_s[pair] > limit_s:
                return pair, now_s - self._last_s[pair]
        return None
