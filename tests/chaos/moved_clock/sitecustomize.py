"""Lets a Python process live at another moment: its clock is MOVED_CLOCK_S seconds ahead, its timers run as they do.

Imported by every Python that has this folder on its PYTHONPATH, before anything else.
"""

from __future__ import annotations

import os
import time

_AHEAD_S = int(os.environ.get("MOVED_CLOCK_S", "0"))
_now_ns = time.time_ns


def _time_ns() -> int:
    return _now_ns() + _AHEAD_S * 1_000_000_000


def _time() -> float:
    return _time_ns() / 1e9


time.time_ns, time.time = _time_ns, _time
