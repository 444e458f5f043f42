"""How often a stream usually ticks, by time of day, and whether it ticks less now. Pure.

A stream is judged by its own past only. What it does not do reliably says nothing: the more its rate differs from what
was expected of it on ordinary days, the further it must fall to be told; a quiet instrument cannot fall at all.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tapeline_watchdog.sessions import SLOT_NS, Sessions

_SESSIONS: Final = 10
_LEAST_SESSIONS: Final = 3
_HOUR_SLOTS: Final = 12
_LEAST_RECENT: Final = 6
_LEAST_COVERED: Final = 0.8
_LEAST_EXPECTED: Final = 30.0
_LEAST_ERRORS: Final = 24
_ERRORS: Final = 2_000
_LOW_RATIO: Final = 0.9
_LOW_DEVIATIONS: Final = 4.0
_LEAST_SPREAD: Final = 0.01
_ROBUST: Final = 1.4826
"""Times the median deviation it is the standard deviation of a normal distribution."""
_IN_A_ROW: Final = {1: 2, _HOUR_SLOTS: 1}
"""By length of the window in slots: how many windows in a row must be low."""
_LATEST_SLOTS: Final = 3
_NEW_NORMAL_SLOTS: Final = 36

Table = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, slots=True)
class Rate:
    """Ticks within the last whole slots: how many (1/s), how many usually, and whether that is too few."""

    per_s: float
    usual_per_s: float
    window_s: float
    is_low: bool

    @property
    def ratio(self) -> float:
        """What came of what usually comes."""
        return self.per_s / self.usual_per_s if self.usual_per_s else 1.0


class _Window:
    """Judges the last `size` slots, by how far such windows were from what was expected of them before."""

    def __init__(self, size: int) -> None:
        self._pairs: deque[tuple[float, float]] = deque(maxlen=size)
        self._size = size
        self._errors: Table = np.zeros(_ERRORS, dtype=np.float32)
        self._known = 0
        self._low_in_a_row = 0

    def clear(self) -> None:
        self._pairs.clear()
        self._low_in_a_row = 0

    def judge(self, ticks: float, expected: float) -> Rate | None:
        self._pairs.append((ticks, expected))
        if len(self._pairs) < self._size:
            return None
        ticks, expected, error = _total(self._pairs)
        # Where the end of the window is as usual, what was wrong is over.
        is_low = self._is_low(error, expected) and _total(list(self._pairs)[-_LATEST_SLOTS:])[2] < math.log(_LOW_RATIO)
        if not is_low:
            self._errors[self._known % _ERRORS] = abs(error)
            self._known += 1
        self._low_in_a_row = self._low_in_a_row + 1 if is_low else 0
        window_s = self._size * SLOT_NS / 1e9
        return Rate(ticks / window_s, expected / window_s, window_s, self._low_in_a_row >= _IN_A_ROW[self._size])

    def _is_low(self, error: float, expected: float) -> bool:
        if expected < _LEAST_EXPECTED or self._known < _LEAST_ERRORS or error > math.log(_LOW_RATIO):
            return False
        spread = max(_LEAST_SPREAD, _ROBUST * float(np.median(self._errors[: self._known])))
        # Counts of independent ticks scatter by their square root, however steady their rate is.
        return error < -_LOW_DEVIATIONS * max(spread, 1 / math.sqrt(expected))


class Cadence:
    """What one stream and kind usually does.

    By time of day (slot of the session) as the median of up to ten sessions, once there are three; until then by the
    last hour, where the market never closes and so has no shape of the day. Short sessions neither teach nor are
    judged, as holidays are thin.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        # Ticks per second, and the longest silence (s) that ended, by slot and session.
        self._rates = self._table()
        self._silences = self._table()
        self._recent: deque[tuple[float, float]] = deque(maxlen=_HOUR_SLOTS)
        self._windows = [_Window(size) for size in _IN_A_ROW]
        self._number = 0
        """The slot in hand, counted from the epoch."""
        self._slot = 0
        self._is_short = False
        self._ticks = 0
        self._covered_ns = 0
        self._silence_s = 0.0
        self._low_slots = 0
        self._empty_slots = 0
        """Slots without ticks since the last one with any."""
        self._usual_silence: tuple[tuple[int, int], tuple[float, float] | None] = ((0, -1), None)
        self.rate: Rate | None = None
        """What the last whole slots were; None where nothing is expected."""

    def _table(self) -> Table:
        return np.full((self._sessions.slots, _SESSIONS), np.nan, dtype=np.float32)

    def note(self, ticks: int, covered_ns: int, silence_ns: int, at_ns: int) -> None:
        """Take in `ticks` of the last `covered_ns` of open market, and the silence that they ended or 0."""
        session = self._sessions.at(at_ns)
        if not session.is_open(at_ns):
            return
        number = at_ns // SLOT_NS
        if number != self._number:
            self._finish()
            if number != self._number + 1:
                self._clear_windows()
            self._number, self._slot, self._is_short = number, session.slot(at_ns), session.is_short
        self._ticks += ticks
        self._covered_ns += covered_ns
        self._silence_s = max(self._silence_s, silence_ns / 1e9)

    def interrupt(self) -> None:
        """Forget the slot in hand: there was no connection, or something else than live ticks."""
        self._ticks = self._covered_ns = 0
        self._silence_s = 0.0
        self._clear_windows()

    def silence_limit_ns(self, at_ns: int) -> int | None:
        """Return the longest silence (ns of open market) that is not strange now, None where anything is usual."""
        session = self._sessions.at(at_ns)
        slot = session.slot(max(at_ns, session.open_ns))
        key = (session.open_ns, slot)
        if self._usual_silence[0] != key:
            self._usual_silence = (key, None if session.is_short else self._usual_of(slot))
        usual = self._usual_silence[1]
        if usual is not None:
            longest_s, per_s = usual
            return _limit_ns(floor_s=15.0, longest_s=3 * longest_s, per_s=per_s)
        rates = [rate for rate, _ in self._recent]
        if len(rates) < 2 or not sum(rates):
            return None
        longest_s = max(self._silence_s, *(silence_s for _, silence_s in self._recent))
        # What the next hours are like is not known: markets are a hundred times quieter at night.
        return _limit_ns(floor_s=60.0, longest_s=30 * longest_s, per_s=sum(rates) / len(rates))

    def _usual_of(self, slot: int) -> tuple[float, float] | None:
        near = slice(max(0, slot - _HOUR_SLOTS // 2), slot + _HOUR_SLOTS // 2 + 1)
        if np.isfinite(self._rates[slot]).sum() < _LEAST_SESSIONS:
            return None
        return float(np.nanmax(self._silences[near])), float(np.nanmean(self._rates[near]))

    def _finish(self) -> None:
        """Judge the slot in hand by what was usual before, and learn from it."""
        ticks, covered_s, slot = self._ticks, self._covered_ns / 1e9, self._slot
        silence_s = self._silence_s
        self._ticks = self._covered_ns = 0
        self._silence_s = 0.0
        if covered_s < _LEAST_COVERED * SLOT_NS / 1e9:
            self._clear_windows()
            return
        per_s = ticks / covered_s
        self._judge(slot, per_s)
        self._recent_slot(per_s, silence_s)
        if not self._is_short:
            _remember(self._rates[slot], per_s)
            _remember(self._silences[slot], silence_s)

    def _judge(self, slot: int, per_s: float) -> None:
        usual_per_s = self._expected(slot)
        if usual_per_s is None:
            self._clear_windows()
            return
        slot_s = SLOT_NS / 1e9
        found = [window.judge(per_s * slot_s, usual_per_s * slot_s) for window in self._windows]
        rates = [rate for rate in found if rate is not None]
        self.rate = next((rate for rate in rates if rate.is_low), rates[0])

    def _expected(self, slot: int) -> float | None:
        if self._is_short:
            return None
        known = self._rates[slot][np.isfinite(self._rates[slot])]
        if len(known) >= _LEAST_SESSIONS:
            return float(np.median(known))
        if self._sessions.never_close and len(self._recent) >= _LEAST_RECENT:
            return float(np.median([rate for rate, _ in self._recent]))
        return None

    def _recent_slot(self, per_s: float, silence_s: float) -> None:
        is_low = self.rate is not None and self.rate.is_low
        self._low_slots = self._low_slots + 1 if is_low else 0
        # A fault must not become what is usual, or it would seem to end; what lasts for hours is no fault any more.
        if is_low and self._low_slots <= _NEW_NORMAL_SLOTS:
            return
        if not per_s:
            # Of a silence that may never end nothing is learned before it does.
            self._empty_slots += 1
            return
        self._recent.extend([(0.0, 0.0)] * min(self._empty_slots, _HOUR_SLOTS))
        self._empty_slots = 0
        self._recent.append((per_s, silence_s))

    def _clear_windows(self) -> None:
        self.rate = None
        for window in self._windows:
            window.clear()


def _total(pairs: Iterable[tuple[float, float]]) -> tuple[float, float, float]:
    """Return the ticks, those that were expected, and the logarithm of their ratio."""
    ticks, expected = (sum(column) for column in zip(*pairs, strict=True))
    return ticks, expected, math.log((ticks + 0.5) / (expected + 0.5))


def _remember(row: Table, value: float) -> None:
    row[1:] = row[:-1].copy()
    row[0] = value


def _limit_ns(*, floor_s: float, longest_s: float, per_s: float) -> int | None:
    """Return a limit that ticks which come independently of each other pass once in 10**8 times."""
    return round(max(floor_s, longest_s, 20.0 / per_s) * 1e9) if per_s > 0 else None
