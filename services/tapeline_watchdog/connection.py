"""What a stream's events say of its connection: sessions, reconnects, open gaps, the producer's clock. Pure."""

from __future__ import annotations

from collections import deque
from typing import Final

from tapeline.model.events import FeedEvent
from tapeline.model.frames import Gap

END_OF_DATA: Final = "end of data"
RECONNECTS_WITHIN_NS: Final = 600_000_000_000
_HOUR_NS: Final = 3_600_000_000_000
_MOST_CONNECTS: Final = 1_000
_CLOCK_BEATS: Final = 60
_LEAST_CLOCK_BEATS: Final = 10
_CLOCK_LIMIT_NS: Final = 1_000_000_000


class Connection:
    """One stream of one source. Moments are ns since the epoch, by the watchdog's clock."""

    def __init__(self) -> None:
        self.session = ""
        self.epoch = 0
        self.is_connected: bool | None = None
        """None until the events tell."""
        self.reason = ""
        """Why it is not connected."""
        self.connected_ns: int | None = None
        self.reconnects = 0
        """Connections after the first one that was heard of."""
        self.gaps: dict[str, Gap] = {}
        """Gaps that have not ended, by id."""
        self._connects: deque[int] = deque(maxlen=_MOST_CONNECTS)
        self._offsets_ns: deque[int] = deque(maxlen=_CLOCK_BEATS)

    def take(self, event: FeedEvent, heard_ns: int) -> bool:
        """Take in an event; return False for one of a session that is over, which says nothing of now."""
        if event.epoch < self.epoch:
            return False
        is_new = event.session != self.session
        if event.type in ("disconnected", "stopped") and is_new and self.is_connected and event.epoch == self.epoch:
            return False
        self.epoch = event.epoch
        if is_new:
            self.session = event.session
            # Of another process, perhaps, with another clock.
            self._offsets_ns.clear()
        match event.type:
            case "connected":
                self._connect(heard_ns)
            case "disconnected" | "stopped":
                self.is_connected, self.reason = False, event.reason
            case "gap_opened" | "gap_closed":
                self._note_gap(event.gap)
            case "heartbeat":
                self._offsets_ns.append(heard_ns - event.at)
                # Some producers beat while the vendor does not answer them.
                if event.ticks and self.is_connected is not True and (is_new or self.is_connected is None):
                    self._connect(heard_ns)
        return True

    @property
    def has_ended(self) -> bool:
        """Whether all data came and no more will."""
        return self.is_connected is False and self.reason == END_OF_DATA

    @property
    def clock_ahead_ns(self) -> int:
        """How far the producer's clock is ahead of the watchdog's: 0 unless it is a second or more.

        Less than 0 where its events come later than they say: its clock is behind, or Kafka takes them late.
        """
        if len(self._offsets_ns) < _LEAST_CLOCK_BEATS:
            return 0
        ahead_ns = -min(self._offsets_ns)
        return ahead_ns if abs(ahead_ns) >= _CLOCK_LIMIT_NS else 0

    def reconnects_within(self, duration_ns: int, now_ns: int) -> int:
        """Return how many of the reconnects were within the last `duration_ns`."""
        return sum(at_ns > now_ns - duration_ns for at_ns in self._connects)

    def reconnects_per_hour(self, now_ns: int) -> int:
        """Return the reconnects of the last hour."""
        return self.reconnects_within(_HOUR_NS, now_ns)

    def _connect(self, heard_ns: int) -> None:
        if self.connected_ns is not None:
            self.reconnects += 1
            self._connects.append(heard_ns)
        self.is_connected, self.reason, self.connected_ns = True, "", heard_ns

    def _note_gap(self, gap: Gap | None) -> None:
        if gap is not None and gap.state == "open":
            self.gaps[gap.id] = gap
        elif gap is not None:
            self.gaps.pop(gap.id, None)
