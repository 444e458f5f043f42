"""What a producer's source must offer. The runner does the rest: claims, frames, resumes, gaps, cursors, heartbeats."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar, Protocol

from pydantic import Field

from tapeline.feed.framer import FrameLimits, Ticks
from tapeline.feed.resume import ResumeLimits, TapeEnd
from tapeline.model.columns import TickKind
from tapeline.model.frames import Origin
from tapeline.ops.settings import ServiceSettings

Pair = tuple[str, TickKind]
"""A stream and one of its kinds: what resumes, and what is missing, as one."""


@dataclass(frozen=True, slots=True)
class VendorClock:
    """The newest vendor time (ns since the epoch) received on the connection that carries a stream.

    `kinds` are those of the stream that the connection carries, None for all that the session has written.
    """

    stream: str
    at_ns: int
    kinds: frozenset[TickKind] | None = None


@dataclass(frozen=True, slots=True)
class Replayed:
    """The vendor says that the replay a pair asked for is complete; what follows is live."""

    stream: str
    kind: TickKind


@dataclass(frozen=True, slots=True)
class Lost:
    """Records of a pair are missing from here until the next tick of `symbols` that is no snapshot's.

    `symbols` are raw symbols, or ``("*",)`` for the whole stream. `ts_event_from` is the venue time (ns) of the last
    good record before, None for the newest of the pair.
    """

    stream: str
    kind: TickKind
    symbols: tuple[str, ...]
    reason: str
    ts_event_from: int | None = None


@dataclass(frozen=True, slots=True)
class Announcement:
    """A message of a topic of its own, such as md.instruments.v1; `topic` is its name without the namespace."""

    topic: str
    key: str
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether a line without streams of ticks delivers from now on: what /readyz says of it, and why it does not."""

    delivers: bool
    reason: str


Item = Ticks | VendorClock | Replayed | Lost | Announcement | Standing


class Session(Protocol):
    """One connection to a vendor, or one pass over saved files, from its begin to its end."""

    @property
    def resumes(self) -> AbstractSet[Pair]:
        """The pairs that continue from the `TapeEnd` they were given; every other one begins anew."""

    def items(self) -> AsyncIterator[Item]:
        """Yield what the vendor sends, in its order.

        Ends where nothing more is to come: at the end of files, or of the market's hours. Raises Retryable where the
        session breaks and another may follow, Misconfigured or BadData where none will help.
        """

    def close(self) -> None:
        """Leave the vendor, whether items were taken or not. May be called again."""


class Line(Protocol):
    """A connection to a vendor that is made again and again. The lines of a source run side by side."""

    @property
    def name(self) -> str:
        """What logs and the health endpoint call it."""

    @property
    def origin(self) -> Origin:
        """Where it comes from: what its marks say; each of its ticks says it of itself."""

    @property
    def pairs(self) -> AbstractSet[Pair]:
        """What it carries, where that is known beforehand: these have heartbeats and clocks from the first moment."""

    async def prepare(self) -> Mapping[str, str] | None:
        """Wait until the next session may begin; return every stream it may write, with its dataset.

        None: no more sessions will come. Raises Misconfigured or BadData where there is nothing to be had.
        """

    async def connect(self, ends: Mapping[Pair, TapeEnd]) -> Session:
        """Begin a session; `ends` holds the pairs that may be resumed, and from where.

        Raises Retryable where another attempt may help, Misconfigured where none will.
        """


class Source(Protocol):
    """A vendor's feed. Found by the entry-point group ``tapeline.sources``; its class is called with its settings."""

    name: ClassVar[str]
    settings_class: ClassVar[type[FeedSettings]]

    def __init__(self, settings: FeedSettings) -> None: ...

    def lines(self) -> Sequence[Line]:
        """Return its connections, at least one."""


class FeedSettings(ServiceSettings):
    """Settings that every producer has."""

    frame_ticks: int = Field(default=4_000, ge=1, le=65_536)
    """Most ticks in a frame."""
    frame_bytes: int = Field(default=524_288, ge=16_384, le=900_000)
    """Most bytes in a frame, before compression."""
    frame_age_ms: float = Field(default=5.0, gt=0, le=10_000)
    """Longest time (ms) that a tick waits for its frame to close."""
    queue_bytes: int = Field(default=67_108_864, ge=1_048_576)
    """Most bytes handed to Kafka and not yet acknowledged; at this limit the source is not read any further."""
    linger_ms: float = Field(default=0.0, ge=0, le=1_000)
    """Time (ms) that frames wait for company in a batch; what comes during a request goes together without it."""
    flush_timeout_s: float = Field(default=30.0, gt=0)
    """Longest time (s) that a shutdown waits for Kafka to acknowledge what was handed over."""
    health_port: int = Field(default=0, ge=0, le=65_535)
    """Port of the health endpoint on loopback; 0 takes any free one."""

    def frame_limits(self) -> FrameLimits:
        """Return when a frame closes."""
        return FrameLimits(ticks=self.frame_ticks, bytes=self.frame_bytes, age_ns=round(self.frame_age_ms * 1e6))

    def resume_limits(self) -> ResumeLimits | None:
        """Return when a session may continue the one before it; None: never, and what lies between is no gap."""
        return None


class LiveFeedSettings(FeedSettings):
    """Settings of producers whose vendor goes on while they are away."""

    resume_max_s: float = Field(default=3_600.0, ge=0)
    """Longest outage (s of open market) that is mended by the vendor's replay, in order; a longer one leaves a gap.

    Statistics, which are few and told once, are replayed as far back as the vendor does.
    """
    resume_overlap_s: float = Field(default=2.0, ge=0, le=60)
    """How far (s of venue time) a replay goes back before the last record on the tape."""
    replay_window_s: float = Field(default=86_000.0, gt=0)
    """How far back (s) the vendor replays."""

    def resume_limits(self) -> ResumeLimits | None:
        """Return when a session may continue the one before it."""
        return ResumeLimits(
            longest_outage_ns=round(self.resume_max_s * 1e9),
            overlap_ns=round(self.resume_overlap_s * 1e9),
            window_ns=round(self.replay_window_s * 1e9),
        )
