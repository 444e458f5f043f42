"""What happens to a feed, in words: connections lost and made again, gaps opened and closed."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Final

from tapeline.model.events import FeedEvent

NO_SOURCE: Final = "none"
"""What a chain that has just appeared came from."""


class FeedLog:
    """Turns feed events into lines, one per session and not per stream, and keeps count."""

    def __init__(self) -> None:
        self.live: set[str] = set()
        """Sessions that are connected."""
        self.ticks = 0
        self.lost = 0
        """Sessions that broke."""
        self.gaps: Counter[str] = Counter()
        """Gaps by state: opened, closed."""
        self._ended: set[str] = set()

    def take(self, event: FeedEvent) -> str | None:
        """Return the line that tells the event, None where there is nothing new to tell."""
        told = self._told(event)
        return None if told is None else f"{datetime.fromtimestamp(event.at / 1e9, UTC):%H:%M:%S.%f}"[:-3] + f" {told}"

    def summary(self) -> str:
        """Return connections and gaps as text."""
        lost = "no connection was lost" if not self.lost else f"{self.lost} connections were lost and made again"
        if not self.gaps["opened"]:
            return f"{lost}, no gap"
        return f"{lost}, {self.gaps['opened']} gaps opened, {self.gaps['closed']} closed"

    def _told(self, event: FeedEvent) -> str | None:
        if event.type == "heartbeat":
            self.ticks += 0 if event.kind == "chain" else event.ticks or 0
            return None
        if event.type == "source_changed":
            return None if event.was == NO_SOURCE else f"{event.stream}: {event.was} → {event.now}: {event.reason}"
        if event.type == "fetch_failed":
            return f"{event.source} {event.stream}: {event.reason}"
        if event.type in ("gap_opened", "gap_closed") and event.gap is not None:
            state = event.type.removeprefix("gap_")
            self.gaps[state] += 1
            return f"gap {state}: {event.stream} {','.join(event.gap.kinds)}: {event.gap.reason}"
        if event.type == "connected":
            if event.session in self.live | self._ended:
                return None
            self.live.add(event.session)
            return f"connected: session {event.session[:8]}"
        if event.session in self._ended:
            return None
        self._ended.add(event.session)
        self.live.discard(event.session)
        if event.reason == "stopped":
            return None
        self.lost += 1
        return f"{event.type}: session {event.session[:8]}: {event.reason}"
