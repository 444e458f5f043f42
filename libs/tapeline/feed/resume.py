"""Whether a session may continue the one before it, and from where. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from tapeline.model.cursors import LastFrame


@dataclass(frozen=True, slots=True)
class ResumeLimits:
    """How long an outage may be (ns of open market), how far a replay overlaps the tape, how far back it reaches."""

    longest_outage_ns: int
    overlap_ns: int
    window_ns: int


@dataclass(frozen=True, slots=True)
class TapeEnd:
    """Where the tape of a stream and kind ends, and from where a vendor is asked to send again. ns since the epoch."""

    ts_event: int
    """Largest venue time on the tape that is not a snapshot's."""
    start_ns: int
    """Venue time from which on records are asked for again, that one included."""


def tape_end(last: LastFrame | None, *, outage_ns: int, now_ns: int, limits: ResumeLimits) -> TapeEnd | None:
    """Return from where a pair that ends with `last` is resumed after an outage; None: it begins anew.

    A pair that had been quiet for longer than the vendor's window starts at the window's begin: it lost nothing before
    the outage, which is the shorter one of the two.
    """
    if last is None or last.ts_event is None or outage_ns > limits.longest_outage_ns:
        return None
    return TapeEnd(last.ts_event, max(last.ts_event - limits.overlap_ns, now_ns - limits.window_ns))
