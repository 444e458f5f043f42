"""What a producer's source must offer. The runner does the rest: sessions, claims, frames, cursors, heartbeats."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

from pydantic import Field

from tapeline.feed.framer import FrameLimits, Ticks
from tapeline.model.columns import TickKind
from tapeline.model.frames import Origin, Resume
from tapeline.ops.settings import ServiceSettings


@dataclass(frozen=True, slots=True)
class VendorClock:
    """The newest vendor time (ns since the epoch) received for a stream while no tick came."""

    stream: str
    at_ns: int


Item = Ticks | VendorClock


class Session(Protocol):
    """One connection to a vendor, or one pass over saved files, from its begin to its end."""

    @property
    def origin(self) -> Origin:
        """Where its ticks come from."""

    @property
    def streams(self) -> Mapping[str, str]:
        """Every stream it may write, with its dataset; they are claimed before its first tick."""

    @property
    def resumes(self) -> Mapping[tuple[str, TickKind], Resume]:
        """What it continues without loss, per stream and kind; a pair that is absent begins anew."""

    def items(self) -> AsyncIterator[Item]:
        """Yield what the vendor sends, in its order. Raises Retryable or BadData where the session breaks."""


class Source(Protocol):
    """A vendor's feed. Found by the entry-point group ``tapeline.sources``; its class is called with its settings."""

    name: ClassVar[str]
    settings_class: ClassVar[type[FeedSettings]]

    def __init__(self, settings: FeedSettings) -> None: ...

    def sessions(self) -> AsyncIterator[Session]:
        """Yield sessions one after another, each when it may begin; end when there is no more to come."""


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
    linger_ms: float = Field(default=2.0, ge=0, le=1_000)
    """Longest time (ms) that Kafka's client collects frames into a batch."""
    flush_timeout_s: float = Field(default=30.0, gt=0)
    """Longest time (s) that a shutdown waits for Kafka to acknowledge what was handed over."""
    health_port: int = Field(default=0, ge=0, le=65_535)
    """Port of the health endpoint on loopback; 0 takes any free one."""

    def frame_limits(self) -> FrameLimits:
        """Return when a frame closes."""
        return FrameLimits(ticks=self.frame_ticks, bytes=self.frame_bytes, age_ns=round(self.frame_age_ms * 1e6))
