"""How late ticks come, and where they wait: at the exchange, on the way to the vendor, or on the way here. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from statistics import median
from typing import Final, Literal

from tapeline.model.events import FeedEvent

_MINUTE_NS: Final = 60_000_000_000
_MINUTES: Final = 240
_MOST_BEATS: Final = 120
_LEAST_BEATS: Final = 5
_OLDEST_NS: Final = 10 * _MINUTE_NS
_TIMES_USUAL: Final = 4
_LOOK_EVERY_NS: Final = 5_000_000_000
_SENT_AGAIN_NS: Final = 5_000_000_000
_DAY_NS: Final = 1_440 * _MINUTE_NS
_SAVED: Final = "saved"
"""The source of what was saved."""

Place = Literal["exchange", "capture", "delivery"]


@dataclass(frozen=True, slots=True)
class Latency:
    """The last minute's latencies, ns, as medians of the heartbeats' percentiles; None where they do not tell.

    `exchange_ns` is from `ts_event` until the exchange sent (it queued there), `capture_ns` from there until the vendor
    had it (`ts_in_delta`), `delivery_ns` all the rest: the vendor, the way here, and the producer.
    """

    p50_ns: int
    p99_ns: int
    usual_p50_ns: int | None
    ts_in_delta_p50_ns: int | None
    ts_in_delta_p99_ns: int | None
    exchange_ns: int | None
    capture_ns: int | None
    delivery_ns: int | None

    @property
    def waits_at(self) -> Place | None:
        """Where most of it passes."""
        if self.exchange_ns is None or self.capture_ns is None or self.delivery_ns is None:
            return None
        shares: dict[Place, int] = {
            "exchange": self.exchange_ns,
            "capture": self.capture_ns,
            "delivery": self.delivery_ns,
        }
        return max(shares, key=lambda place: shares[place])

    def is_high(self, limit_ns: int) -> bool:
        """Return whether half of the ticks come later than `limit_ns`, and than is usual for the stream."""
        return self.p50_ns > max(limit_ns, _TIMES_USUAL * (self.usual_p50_ns or 0))


@dataclass(frozen=True, slots=True)
class _Beat:
    at_ns: int
    p50_ns: int
    p99_ns: int
    ts_in_delta_p50_ns: int | None
    ts_in_delta_p99_ns: int | None
    venue_ns: int | None
    """From the newest `ts_event` to the newest `ts_recv`."""


class LatencyHistory:
    """The latencies of one stream and kind."""

    def __init__(self) -> None:
        self._beats: deque[_Beat] = deque(maxlen=_MOST_BEATS)
        self._minutes: deque[int] = deque(maxlen=_MINUTES)
        self._minute = 0
        self._found: tuple[int, Latency] | None = None
        """What was found last, and when: medians of a minute are dear for each of many feeds, and change slowly."""

    def note(self, beat: FeedEvent, heard_ns: int, clock_ahead_ns: int) -> None:
        """Take in a heartbeat with latencies, less what the producer's clock is ahead."""
        if beat.latency_p50_ns is None or beat.latency_p99_ns is None:
            return
        minute = heard_ns // _MINUTE_NS
        if minute != self._minute:
            self._end_minute(heard_ns)
            self._minute = minute
        venue_ns = None if beat.ts_event is None or beat.ts_recv is None else beat.ts_recv - beat.ts_event
        self._beats.append(
            _Beat(
                heard_ns,
                beat.latency_p50_ns - clock_ahead_ns,
                beat.latency_p99_ns - clock_ahead_ns,
                beat.ts_in_delta_p50_ns,
                beat.ts_in_delta_p99_ns,
                venue_ns,
            )
        )

    def at(self, now_ns: int) -> Latency | None:
        """Return the latencies of the last minute, of a quiet stream those of its last heartbeats that told any.

        None where there are too few within ten minutes. It is looked for every five seconds.
        """
        if self._found is not None and 0 <= now_ns - self._found[0] < _LOOK_EVERY_NS:
            return self._found[1]
        found = self._latency(now_ns)
        self._found = None if found is None else (now_ns, found)
        return found

    def _latency(self, now_ns: int) -> Latency | None:
        beats = [beat for beat in self._beats if beat.at_ns > now_ns - _MINUTE_NS]
        if len(beats) < _LEAST_BEATS:
            beats = [beat for beat in list(self._beats)[-_LEAST_BEATS:] if beat.at_ns > now_ns - _OLDEST_NS]
        if len(beats) < _LEAST_BEATS:
            return None
        p50_ns = round(median(beat.p50_ns for beat in beats))
        in_delta_p50_ns = _median([beat.ts_in_delta_p50_ns for beat in beats])
        venue_ns = _median([beat.venue_ns for beat in beats])
        exchange_ns = delivery_ns = None
        if in_delta_p50_ns is not None and venue_ns is not None:
            exchange_ns, delivery_ns = max(0, venue_ns - in_delta_p50_ns), max(0, p50_ns - venue_ns)
        return Latency(
            p50_ns=p50_ns,
            p99_ns=round(median(beat.p99_ns for beat in beats)),
            usual_p50_ns=round(median(self._minutes)) if self._minutes else None,
            ts_in_delta_p50_ns=in_delta_p50_ns,
            ts_in_delta_p99_ns=_median([beat.ts_in_delta_p99_ns for beat in beats]),
            exchange_ns=exchange_ns,
            capture_ns=in_delta_p50_ns,
            delivery_ns=delivery_ns,
        )

    def _end_minute(self, now_ns: int) -> None:
        found = self.at(now_ns)
        # A fault must not become what is usual.
        if found is not None and not found.is_high(found.usual_p50_ns or found.p50_ns):
            self._minutes.append(found.p50_ns)


def is_of_the_past(beat: FeedEvent) -> bool:
    """Return whether a heartbeat's ticks were sent again, or were saved.

    What is sent again has no latency; what was saved has one of its age, unless its times were moved to now. A chain's
    times are those of its source.
    """
    if not beat.ticks or beat.ts_event is None or beat.kind == "chain":
        return False
    if beat.latency_p50_ns is None:
        return beat.at - beat.ts_event > _SENT_AGAIN_NS
    return beat.latency_p50_ns > (_MINUTE_NS if beat.source == _SAVED else _DAY_NS)


def _median(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return round(median(known)) if known else None
