"""What a stream's events say of its connections: sessions, reconnects, open gaps, the producer's clock. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
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


class Stream:
    """One stream of one source: its open gaps, and the connection of each kind, as they may come over several.

    Events name a session, and only heartbeats the kinds that come over it. Moments are ns since the epoch, by the
    watchdog's clock.
    """

    def __init__(self) -> None:
        self.gaps: dict[str, Gap] = {}
        """Gaps that have not ended, by id."""
        self._epoch = 0
        self._connections: dict[str, Connection] = {}
        self._connected_ns: dict[str, int] = {}
        """When sessions began that are not over, by their names."""

    def connection(self, kind: str) -> Connection:
        """Return what a kind comes over."""
        return self._connections.setdefault(kind, Connection(self.gaps))

    def take(self, event: FeedEvent, heard_ns: int) -> bool:
        """Take in an event; return False for one of a session that is over, which says nothing of now."""
        if event.epoch < self._epoch:
            return False
        if event.epoch > self._epoch:
            self._epoch = event.epoch
            self._connected_ns.clear()
        match event.type:
            case "connected":
                self._connected_ns[event.session] = heard_ns
            case "disconnected" | "stopped":
                self._connected_ns.pop(event.session, None)
            case "gap_opened" | "gap_closed":
                self._note_gap(event.gap)
                return True
        if event.kind is not None:
            self.connection(event.kind).beat(event, heard_ns, self._connected_ns.get(event.session))
            return True
        known = self._connections.values()
        for connection in [each for each in known if each.session == event.session] or list(known):
            connection.take(event, heard_ns)
        return True

    def _note_gap(self, gap: Gap | None) -> None:
        if gap is not None and gap.state == "open":
            self.gaps[gap.id] = gap
        elif gap is not None:
            self.gaps.pop(gap.id, None)


class Connection:
    """What one kind of a stream comes over."""

    def __init__(self, gaps: Mapping[str, Gap]) -> None:
        self.session = ""
        self.epoch = 0
        self.is_connected: bool | None = None
        """None until the events tell."""
        self.reason = ""
        """Why it is not connected."""
        self.connected_ns: int | None = None
        self.reconnects = 0
        """Connections after the first one that was heard of."""
        self.gaps = gaps
        """Gaps of the stream that have not ended, by id."""
        self._connects: deque[int] = deque(maxlen=_MOST_CONNECTS)
        self._offsets_ns: deque[int] = deque(maxlen=_CLOCK_BEATS)

    def take(self, event: FeedEvent, heard_ns: int) -> None:
        """Take in that a session began or ended: this connection's, or one of which that is not known."""
        if (
            self.is_connected
            and event.epoch == self.epoch
            and (event.type == "connected" or event.session != self.session)
        ):
            # Another kind's, over which nothing of this one comes.
            return
        self._name(event)
        if event.type == "connected":
            self._connect(heard_ns)
        else:
            self.is_connected, self.reason = False, event.reason

    def beat(self, event: FeedEvent, heard_ns: int, connected_ns: int | None) -> None:
        """Take in a heartbeat; its session began at `connected_ns`, None where that was not heard."""
        is_new = self._name(event)
        self._offsets_ns.append(heard_ns - event.at)
        if self.is_connected is None and connected_ns is not None:
            self._connect(connected_ns)
        # Some producers beat while the vendor does not answer them.
        elif event.ticks and self.is_connected is not True and (is_new or self.is_connected is None):
            self._connect(heard_ns)

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

    def _name(self, event: FeedEvent) -> bool:
        """Take note of the session, and return whether it is another one than before."""
        self.epoch = event.epoch
        if event.session == self.session:
            return False
        self.session = event.session
        # Of another process, perhaps, with another clock.
        self._offsets_ns.clear()
        return True
