"""The windows that derived rows are made over, known to whoever closes them and to whoever must let them close."""

from __future__ import annotations

from typing import Final

WINDOWS_MS: Final = (100, 1_000, 10_000, 60_000)
"""Lengths of the pressure windows; each divides the next."""

CLOSE_AFTER_NS: Final = 250_000_000
"""A window closes once the watermark has passed its end by this much."""


def all_closed_ns(ts_event: int) -> int:
    """Return the earliest watermark at which no window that holds `ts_event` (both ns since the epoch) is open."""
    longest_ns = WINDOWS_MS[-1] * 1_000_000
    return (ts_event // longest_ns + 1) * longest_ns + CLOSE_AFTER_NS
