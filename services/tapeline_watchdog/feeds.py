"""The health of every feed, from feed events alone: one row per source, stream and kind. Pure.

Silence is told against the stream's own cadence and the session calendar, so that a closed market or a quiet instrument
is no fault.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from tapeline.feed.calendar import Calendar
from tapeline.model.events import FeedEvent
from tapeline_watchdog.cadence import Rate
from tapeline_watchdog.connection import Stream
from tapeline_watchdog.lane import RECONNECTS, FeedLimits, FeedState, Flag, Lane
from tapeline_watchdog.latency import Latency
from tapeline_watchdog.sessions import Sessions

_FAILURES_WITHIN_NS: Final = 600_000_000_000
_FAILURES: Final = 3
_FORGET_AFTER_NS: Final = 86_400_000_000_000
_MOST_ORIGINS: Final = 1_000
_MOST_FAILURES: Final = 1_000
_NOWHERE: Final = "none"


class FeedKey(NamedTuple):
    """What has a state of its own."""

    source: str
    stream: str
    kind: str


@dataclass(frozen=True, slots=True)
class FeedRow:
    """A stream and kind as it is now. Moments are ns since the epoch, durations ns; None where it is not known.

    `since_ns` is when the state began. `silence_ns` and its limit are of open market.
    """

    key: FeedKey
    state: FeedState
    reason: str
    since_ns: int
    flags: tuple[Flag, ...]
    is_expected: bool
    is_beating: bool
    session: str
    epoch: int
    heard_ns: int | None
    tick_ns: int | None
    silence_ns: int
    silence_limit_ns: int | None
    rate: Rate | None
    latency: Latency | None
    reconnects: int
    reconnects_per_hour: int
    queue_fill: float
    unsteady_ns: int | None = None
    """Since when it has reconnected too often, whatever its state was meanwhile."""
    ticks_per_s: float | None = None
    """Of the last minute; `rate` is that of whole slots, once it is known what is usual."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a stream of chains comes from since `at_ns`, where from before, and why."""

    source: str
    stream: str
    was: str
    now: str
    reason: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class FeedReport:
    """All rows by key, and where chains come from, as of `at_ns`."""

    at_ns: int
    rows: tuple[FeedRow, ...]
    origins: tuple[Origin, ...]


class Feeds:
    """Every feed that was heard of in the last day, and those that are expected, whether heard of or not.

    `calendar_of` gives the calendar of a stream. Moments are ns since the epoch by the watchdog's clock.
    """

    def __init__(
        self,
        expected: Collection[FeedKey],
        calendar_of: Callable[[str], Calendar],
        now_ns: int,
        limits: FeedLimits | None = None,
    ) -> None:
        self._expected = frozenset(expected)
        self._calendar_of = calendar_of
        self._limits = limits or FeedLimits()
        self._sessions: dict[str, Sessions] = {}
        self._streams: dict[tuple[str, str], Stream] = {}
        self._lanes: dict[FeedKey, Lane] = {}
        self._states: dict[FeedKey, tuple[FeedState, int]] = {}
        self._unsteady: dict[FeedKey, int] = {}
        self._failures: dict[str, deque[tuple[int, str]]] = {}
        self._origins: dict[tuple[str, str], Origin] = {}
        self._listening_ns = now_ns
        for key in sorted(self._expected):
            self._lane(key)

    def take(self, event: FeedEvent, heard_ns: int) -> None:
        """Take in an event that was heard at `heard_ns`, in the order of the topic."""
        name = (event.source, event.stream)
        if event.type == "source_changed":
            self._note_origin(event, heard_ns)
        elif event.type == "fetch_failed":
            failures = self._failures.setdefault(event.source, deque(maxlen=_MOST_FAILURES))
            failures.append((heard_ns, event.reason))
        elif self._stream(name).take(event, heard_ns) and event.kind is not None:
            self._lane(FeedKey(*name, event.kind)).beat(event, heard_ns)

    def listen_anew(self, now_ns: int) -> None:
        """Take note that no event could be heard until now: that is no fault of any feed."""
        self._listening_ns = now_ns
        for lane in self._lanes.values():
            lane.listen_anew(now_ns)

    def report(self, now_ns: int) -> FeedReport:
        """Return how every feed is."""
        self._forget(now_ns)
        rows = tuple(self._row(key, self._lanes[key], now_ns) for key in sorted(self._lanes))
        return FeedReport(now_ns, rows, tuple(self._origins[name] for name in sorted(self._origins)))

    def _stream(self, name: tuple[str, str]) -> Stream:
        return self._streams.setdefault(name, Stream())

    def _lane(self, key: FeedKey) -> Lane:
        lane = self._lanes.get(key)
        if lane is None:
            calendar = self._calendar_of(key.stream)
            if calendar.name not in self._sessions:
                self._sessions[calendar.name] = Sessions(calendar)
            sessions = self._sessions[calendar.name]
            connection = self._stream((key.source, key.stream)).connection(key.kind)
            lane = self._lanes[key] = Lane(key.kind, connection, sessions, self._limits, self._listening_ns)
        return lane

    def _row(self, key: FeedKey, lane: Lane, now_ns: int) -> FeedRow:
        latency = lane.latency(now_ns)
        flags = (*lane.flags_at(now_ns, latency), *self._flags_of_source(key, now_ns))
        state, reason = lane.state(now_ns, flags)
        known, since_ns = self._states.get(key, (None, now_ns))
        if state is not known:
            since_ns = now_ns
            self._states[key] = (state, since_ns)
        if any(flag.name == RECONNECTS for flag in flags):
            self._unsteady.setdefault(key, now_ns)
        else:
            self._unsteady.pop(key, None)
        connection = lane.connection
        return FeedRow(
            key=key,
            state=state,
            reason=reason,
            since_ns=since_ns,
            # What a closed market does says nothing of the feed.
            flags=() if state is FeedState.CLOSED else flags,
            is_expected=key in self._expected,
            is_beating=lane.heard_ns is not None and lane.is_beating(now_ns),
            session=connection.session,
            epoch=connection.epoch,
            heard_ns=lane.heard_ns,
            tick_ns=lane.tick_ns,
            silence_ns=lane.silence_ns(now_ns),
            silence_limit_ns=lane.cadence.silence_limit_ns(now_ns),
            rate=lane.rate,
            latency=latency,
            reconnects=connection.reconnects,
            reconnects_per_hour=connection.reconnects_per_hour(now_ns),
            queue_fill=0.0 if lane.last is None else lane.last.queue_fill or 0.0,
            unsteady_ns=self._unsteady.get(key),
            ticks_per_s=lane.ticks_per_s(now_ns),
        )

    def _flags_of_source(self, key: FeedKey, now_ns: int) -> list[Flag]:
        """Return what is wrong with a source of chains: its failures are told of series, its heartbeats of products."""
        if key.kind != "chain":
            return []
        flags = []
        recent = [
            reason for at_ns, reason in self._failures.get(key.source, ()) if at_ns > now_ns - _FAILURES_WITHIN_NS
        ]
        if len(recent) >= _FAILURES:
            flags.append(Flag("fetches", f"{len(recent)} fetches failed within ten minutes: {recent[-1]}"))
        away = [origin for origin in self._origins.values() if origin.source == key.source and origin.now == _NOWHERE]
        if away:
            flags.append(Flag("no_origin", f"{away[-1].stream} comes from nowhere: {away[-1].reason}"))
        return flags

    def _note_origin(self, event: FeedEvent, heard_ns: int) -> None:
        name = (event.source, event.stream)
        # The one that changed last is the last one, and the first one goes.
        self._origins.pop(name, None)
        self._origins[name] = Origin(*name, event.was, event.now, event.reason, heard_ns)
        if len(self._origins) > _MOST_ORIGINS:
            del self._origins[next(iter(self._origins))]

    def _forget(self, now_ns: int) -> None:
        """Drop what has not been heard of for a day, unless it is expected."""
        for key, lane in list(self._lanes.items()):
            heard_ns = lane.heard_ns if lane.heard_ns is not None else now_ns
            if key not in self._expected and now_ns - heard_ns > _FORGET_AFTER_NS:
                del self._lanes[key]
                self._states.pop(key, None)
                self._unsteady.pop(key, None)
                if not any(other[:2] == key[:2] for other in self._lanes):
                    del self._streams[key[:2]]


def dataset_of(stream: str, datasets: Mapping[str, str]) -> str:
    """Return the dataset whose market a stream follows: its first part, or what `datasets` has for that."""
    first = stream.partition("/")[0]
    return datasets.get(first, first)
