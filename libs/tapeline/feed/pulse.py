"""What a heartbeat says of one stream and kind: how much came, how new it is, how late it came."""

from __future__ import annotations

from typing import Any, Final, TypedDict

import numpy as np

from tapeline.feed.framer import Ticks
from tapeline.model.columns import F_SNAPSHOT

_MOST_SAMPLES: Final = 4_096


class Beat(TypedDict):
    """The fields of a heartbeat that a `Pulse` knows."""

    ticks: int
    ts_event: int | None
    ts_recv: int | None
    latency_p50_ns: int | None
    latency_p99_ns: int | None
    ts_in_delta_p50_ns: int | None
    ts_in_delta_p99_ns: int | None


class Pulse:
    """Collects between two heartbeats. Latency is the time from `ts_event` until the ticks arrived here."""

    def __init__(self) -> None:
        self.ts_event = 0
        """Largest defined venue time that is not a snapshot's, of the published frames; 0 before the first."""
        self.ts_recv: int | None = None
        """Time of receipt of the newest tick; None before the first."""
        self._ticks = 0
        self._latencies_ns: list[np.ndarray[Any, np.dtype[np.int64]]] = []
        self._in_deltas_ns: list[np.ndarray[Any, np.dtype[np.int64]]] = []
        self._samples = 0

    def arrived(self, ticks: Ticks, now_ns: int) -> None:
        """Note ticks that arrived at `now_ns`; of very many, the first thousands are looked at for latencies.

        A snapshot's ticks, those that are sent again, and those without a defined `ts_event` say nothing about latency.
        """
        self._ticks += len(ticks)
        self.ts_recv = int(ticks.columns["ts_recv"][-1]) or self.ts_recv
        if self._samples >= _MOST_SAMPLES or ticks.origin == "replay":
            return
        few = ticks.cut(0, _MOST_SAMPLES)
        self._samples += len(few)
        ts_event = few.columns["ts_event"]
        telling = ts_event != 0
        if "flags" in few.columns:
            telling &= (few.columns["flags"] & F_SNAPSHOT) == 0
        self._latencies_ns.append(now_ns - ts_event[telling])
        if "ts_in_delta" in few.columns:
            self._in_deltas_ns.append(few.columns["ts_in_delta"][telling])

    def published(self, ts_event: int | None) -> None:
        """Note the newest venue time (ns) of a frame, None where it has none."""
        if ts_event is not None:
            self.ts_event = max(self.ts_event, ts_event)

    def take(self) -> Beat:
        """Return the fields of a heartbeat, and begin anew."""
        latency = _percentiles(self._latencies_ns)
        in_delta = _percentiles(self._in_deltas_ns)
        beat: Beat = {
            "ticks": self._ticks,
            "ts_event": self.ts_event or None,
            "ts_recv": self.ts_recv,
            "latency_p50_ns": latency[0],
            "latency_p99_ns": latency[1],
            "ts_in_delta_p50_ns": in_delta[0],
            "ts_in_delta_p99_ns": in_delta[1],
        }
        self._ticks = self._samples = 0
        self._latencies_ns, self._in_deltas_ns = [], []
        return beat


def _percentiles(parts: list[np.ndarray[Any, np.dtype[np.int64]]]) -> tuple[int | None, int | None]:
    samples = np.concatenate(parts) if parts else np.empty(0)
    if not len(samples):
        return None, None
    p50, p99 = np.percentile(samples, (50, 99))
    return int(p50), int(p99)
