"""What the producer says on its topics: chains, events of their streams, and answers that are none. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from tapeline.errors import BadData
from tapeline.feed.claims import EVENTS_TOPIC
from tapeline.feed.source import Announcement
from tapeline.model.chain_codec import encode_chain
from tapeline.model.chains import Chain, chain_topic
from tapeline.model.events import EventType, FeedEvent, encode_event
from tapeline_barchart.normalize import SOURCE

DEAD_LETTERS_TOPIC: Final = "md.dead-letters.v1"
NOTHING: Final = "none"
"""Where a stream comes from that does not come."""


def stream_of(name: str) -> str:
    """Return the stream of a product or a series: ``barchart/NQ``, ``barchart/MC2M25``."""
    return f"{SOURCE}/{name}"


def chain_message(chain: Chain) -> Announcement:
    """Return the chain as the message of its key. Raises BadData where it breaks a rule of the schema."""
    return Announcement(chain_topic(SOURCE), chain.key, encode_chain(chain))


def dead_letter(name: str, payload: bytes, error: BadData) -> Announcement:
    """Return an answer as a dead letter, with the rule that it breaks; `name` is the product or series it should be."""
    headers = (
        ("error", f"{type(error).__name__}: {error}".encode()),
        ("field", error.field.encode()),
        ("rule", error.rule.encode()),
        ("service", b"tapeline-barchart"),
    )
    return Announcement(DEAD_LETTERS_TOPIC, stream_of(name), payload, headers)


@dataclass(slots=True)
class Beats:
    """What a product's heartbeats say: chains published since the last one, and the newest of its times (ns)."""

    chains: int = 0
    as_of: int | None = None
    fetched_at: int | None = None

    def note(self, chain: Chain) -> None:
        """Take note that a chain was published."""
        self.chains += 1
        self.as_of = max(self.as_of or 0, chain.as_of)
        self.fetched_at = max(self.fetched_at or 0, chain.fetched_at)


class Events:
    """Makes the events of one session."""

    def __init__(self, session: str) -> None:
        self._session = session

    def heartbeat(self, product: str, beats: Beats, at_ns: int) -> Announcement:
        """Return a product's heartbeat, and begin to count anew."""
        chains, beats.chains = beats.chains, 0
        return self._announce(
            "heartbeat",
            product,
            at_ns,
            kind="chain",
            ticks=chains,
            ts_event=beats.as_of,
            ts_recv=beats.fetched_at,
            queue_fill=0.0,
        )

    def connected(self, product: str, at_ns: int) -> Announcement:
        """Return that the vendor answers."""
        return self._announce("connected", product, at_ns)

    def disconnected(self, product: str, reason: str, at_ns: int) -> Announcement:
        """Return that the vendor does not answer any more."""
        return self._announce("disconnected", product, at_ns, reason=reason)

    def fetch_failed(self, name: str, reason: str, captures: Sequence[str], at_ns: int) -> Announcement:
        """Return that a product's list or a series' chain could not be had, and which files show it."""
        return self._announce("fetch_failed", name, at_ns, reason=reason, captures=tuple(captures))

    def source_changed(self, series: str, was: str, now: str, reason: str, at_ns: int) -> Announcement:
        """Return that a series comes from elsewhere; `was` and `now` are modes, or NOTHING."""
        was, now = (mode if mode == NOTHING else f"{SOURCE}/{mode}" for mode in (was, now))
        return self._announce("source_changed", series, at_ns, reason=reason, was=was, now=now)

    def _announce(self, of: EventType, name: str, at_ns: int, **fields: Any) -> Announcement:
        event = FeedEvent(of, SOURCE, stream_of(name), self._session, epoch=0, at=at_ns, **fields)
        return Announcement(EVENTS_TOPIC, event.key, encode_event(event))
