"""One stream and kind: what its heartbeats say, and which state that is. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tapeline.model.events import FeedEvent
from tapeline_watchdog.cadence import Cadence, Rate
from tapeline_watchdog.connection import RECONNECTS_WITHIN_NS, Connection
from tapeline_watchdog.latency import Latency, LatencyHistory, is_of_the_past
from tapeline_watchdog.sessions import Sessions
from tapeline_watchdog.silences import StrangeSilences

RECONNECTS: Final = "reconnects"
"""The flag of a connection that comes and goes."""
_FULL_QUEUE: Final = 0.8
_FULL_BEATS: Final = 3
_STILL_LIVE_NS: Final = 5_000_000_000
_RATE_BEATS: Final = 62
_RATE_WITHIN_NS: Final = 60_000_000_000
_RATE_OVER_NS: Final = 5_000_000_000


class FeedState(StrEnum):
    """What a stream and kind does."""

    LIVE = "LIVE"
    QUIET = "QUIET"
    """The connection lives and no tick came for a moment, as is usual for it."""
    SILENT = "SILENT"
    """The connection lives, the market trades, and nothing came for longer than is usual for it."""
    CLOSED = "CLOSED"
    """The market does not trade, or all saved data came."""
    DISCONNECTED = "DISCONNECTED"
    REPLAYING = "REPLAYING"
    """What comes is of the past: the vendor sends again, or it was saved."""
    DEGRADED = "DEGRADED"
    """It comes, but not as it should: `flags` say how."""

    @property
    def is_fault(self) -> bool:
        """Whether somebody should look at it."""
        return self in (FeedState.SILENT, FeedState.DISCONNECTED, FeedState.DEGRADED)


@dataclass(frozen=True, slots=True)
class Flag:
    """What is wrong with a feed: a name for machines, and a sentence for people."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class FeedLimits:
    """From when on something is wrong, whatever is usual."""

    heartbeat_timeout_ns: int = 10_000_000_000
    latency_ns: int = 1_000_000_000
    reconnects: int = 3
    """Within ten minutes."""


class Lane:
    """A stream and kind. Moments are ns since the epoch by the watchdog's clock, and do not go back."""

    def __init__(self, kind: str, connection: Connection, sessions: Sessions, limits: FeedLimits, now_ns: int) -> None:
        self.kind = kind
        self.connection = connection
        self.heard_ns: int | None = None
        self.tick_ns: int | None = None
        self.last: FeedEvent | None = None
        """The last heartbeat."""
        self.cadence = Cadence(sessions)
        self._strange = StrangeSilences()
        self._latencies = LatencyHistory()
        self._beats: deque[tuple[int, int]] = deque(maxlen=_RATE_BEATS)
        """When the last ones were told that were live, by the producer's clock, and their ticks."""
        self._sessions = sessions
        self._limits = limits
        self._listening_ns = now_ns
        self._replay_ns: int | None = None
        self._full_beats = 0
        self._silent_ns: int | None = None
        """Since when it is known to be silent."""

    def beat(self, event: FeedEvent, heard_ns: int) -> None:
        """Take in a heartbeat of this kind."""
        before_ns, self.heard_ns, self.last = self.heard_ns, heard_ns, event
        self._full_beats = self._full_beats + 1 if (event.queue_fill or 0.0) >= _FULL_QUEUE else 0
        if is_of_the_past(event):
            self._replay_ns = heard_ns
            self.tick_ns, self._silent_ns = heard_ns, None
            self.cadence.interrupt()
            return
        self._latencies.note(event, heard_ns, max(0, self.connection.clock_ahead_ns))
        self._beats.append((event.at, event.ticks or 0))
        lives = before_ns is not None and heard_ns - before_ns <= self._limits.heartbeat_timeout_ns
        silence_ns = 0
        if event.ticks:
            silence_ns = self._end_silence(heard_ns, lives=lives)
            self.tick_ns = heard_ns
            self._replay_ns = None
        if before_ns is None or not lives:
            self.cadence.interrupt()
        elif self._silent_ns is None or self._strange.are_usual(heard_ns):
            begin_ns = max(before_ns, self._sessions.at(heard_ns).open_ns)
            self.cadence.note(event.ticks or 0, max(0, heard_ns - begin_ns), silence_ns, heard_ns)

    def listen_anew(self, now_ns: int) -> None:
        """Take note that nothing could be heard until now, so that silence before it is nobody's."""
        self._listening_ns = now_ns

    def silence_ns(self, now_ns: int) -> int:
        """Return for how long (ns of open market) no tick came over a connection that lived."""
        # What was heard before listening began is history: its silences are known from its own events.
        listening_ns = self._listening_ns if self._listening_ns <= now_ns else 0
        since_ns = max(self.tick_ns or 0, self.connection.connected_ns or 0, listening_ns) or now_ns
        return self._sessions.open_ns(min(since_ns, now_ns), now_ns)

    def latency(self, now_ns: int) -> Latency | None:
        """Return the latencies of the last minute."""
        return self._latencies.at(now_ns)

    def ticks_per_s(self, now_ns: int) -> float | None:
        """Return how many ticks came in a second of the last minute; None where too little of it was heard."""
        if not self._beats or not self.is_beating(now_ns):
            return None
        # By the producer's clock: after an absence of Kafka many are heard at once.
        end_ns = self._beats[-1][0]
        recent = [(at_ns, ticks) for at_ns, ticks in self._beats if end_ns - at_ns <= _RATE_WITHIN_NS]
        duration_ns = end_ns - recent[0][0]
        # The first one counts what came before it.
        return sum(ticks for _, ticks in recent[1:]) * 1e9 / duration_ns if duration_ns >= _RATE_OVER_NS else None

    @property
    def rate(self) -> Rate | None:
        """What came of what usually comes, in the last whole slots."""
        return self.cadence.rate

    def is_beating(self, now_ns: int) -> bool:
        """Return whether heartbeats come, or it is too early to tell: none come before it is connected."""
        since_ns = max(self.heard_ns or 0, self.connection.connected_ns or 0, self._listening_ns)
        return now_ns - since_ns <= self._limits.heartbeat_timeout_ns

    def state(self, now_ns: int, flags: tuple[Flag, ...]) -> tuple[FeedState, str]:
        """Return the state, and why in words; `flags` are those of `flags_at` and what others know."""
        connection, is_beating = self.connection, self.is_beating(now_ns)
        if self._replay_ns is not None and is_beating and now_ns - self._replay_ns <= _STILL_LIVE_NS:
            return FeedState.REPLAYING, "what comes is of the past"
        if connection.has_ended:
            return FeedState.CLOSED, connection.reason
        if not self._sessions.at(now_ns).is_open(now_ns):
            self._silent_ns = None
            return FeedState.CLOSED, "the market is closed"
        if connection.is_connected is False:
            return FeedState.DISCONNECTED, connection.reason
        if not is_beating:
            return FeedState.DISCONNECTED, self._why_not_beating(now_ns)
        if self.heard_ns is None:
            return FeedState.QUIET, "waiting for the first heartbeat"
        if silence := self._silence(now_ns):
            return FeedState.SILENT, silence
        if flags:
            return FeedState.DEGRADED, "; ".join(flag.reason for flag in flags)
        if self.tick_ns is not None and now_ns - self.tick_ns <= _STILL_LIVE_NS:
            return FeedState.LIVE, ""
        return FeedState.QUIET, ""

    def flags_at(self, now_ns: int, latency: Latency | None) -> Iterator[Flag]:
        """Yield what is wrong while it is connected and the market trades; `latency` is that of the last minute."""
        rate = self.rate
        if rate is not None and rate.is_low:
            yield Flag(
                "rate",
                f"{rate.ratio:.0%} of what usually comes: {rate.per_s:.3g} ticks/s, usually {rate.usual_per_s:.3g}",
            )
        if latency is not None and latency.is_high(self._limits.latency_ns):
            place = "" if latency.waits_at is None else f", most of it {_WORDS[latency.waits_at]}"
            usual_ns = latency.usual_p50_ns
            usual = "" if usual_ns is None else f", usually {usual_ns / 1e9:.3g} s"
            yield Flag("latency", f"ticks come {latency.p50_ns / 1e9:.3g} s late{usual}{place}")
        for gap in self.connection.gaps.values():
            if self.kind in gap.kinds:
                yield Flag("gap", f"a gap has not ended: {gap.reason}")
                break
        reconnects = self.connection.reconnects_within(RECONNECTS_WITHIN_NS, now_ns)
        if reconnects >= self._limits.reconnects:
            yield Flag(RECONNECTS, f"{reconnects} reconnects within ten minutes")
        if self._full_beats >= _FULL_BEATS:
            yield Flag("backpressure", "Kafka takes less than comes: the producer's queue is full")
        ahead_ns = self.connection.clock_ahead_ns
        if ahead_ns > 0:
            yield Flag("clock", f"the producer's clock is {ahead_ns / 1e9:.1f} s ahead")
        elif ahead_ns:
            yield Flag(
                "clock", f"events come {-ahead_ns / 1e9:.1f} s late: the producer's clock is behind, or Kafka slow"
            )

    def _end_silence(self, now_ns: int, *, lives: bool) -> int:
        """Return the silence (ns) that a tick ends; 0 where there was none, or it was strange and is not to be learned.

        It may have been strange though no state was asked for meanwhile, as while history is read.
        """
        if self.tick_ns is None:
            return 0
        silence_ns = self.silence_ns(now_ns)
        is_asked = lives and self._sessions.at(now_ns).is_open(now_ns)
        is_strange = bool(self._silence(now_ns)) if is_asked else self._silent_ns is not None
        self._silent_ns = None
        if is_strange:
            self._strange.end(now_ns)
        return 0 if is_strange and not self._strange.are_usual(now_ns) else silence_ns

    def _silence(self, now_ns: int) -> str:
        """Return what is strange in words, and remember it: what is usual is not asked again before a tick comes."""
        silence_ns = self.silence_ns(now_ns)
        limit_ns = self.cadence.silence_limit_ns(now_ns)
        if self._silent_ns is not None and self._silent_ns < (self.connection.connected_ns or 0):
            self._silent_ns = None
        if self._silent_ns is None:
            if limit_ns is None or silence_ns <= limit_ns:
                return ""
            self._silent_ns = now_ns
            if not self._strange.are_usual(now_ns):
                self.cadence.interrupt()
        within = "" if limit_ns is None else f", at this time never more than {limit_ns / 1e9:.0f} s"
        return f"nothing came for {silence_ns / 1e9:.0f} s of open market{within}"

    def _why_not_beating(self, now_ns: int) -> str:
        if self.heard_ns is None:
            return "no heartbeat ever came: the service does not run, or does not carry this stream"
        silence_s = (now_ns - self.heard_ns) / 1e9
        return f"no heartbeat for {silence_s:.0f} s: the service does not run, or does not reach Kafka"


_WORDS: Final = {
    "exchange": "in the exchange's queue",
    "capture": "between the exchange and the vendor",
    "delivery": "between the vendor and here",
}
