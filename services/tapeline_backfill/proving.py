"""Whether a request has done what it was for: all is on the tape, and it is all that the vendor has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from tapeline.errors import Misconfigured, Retryable
from tapeline.feed.back_ends import BackEnd
from tapeline.model.backfill import BackfillRequest
from tapeline_backfill.cursor import Cursor
from tapeline_backfill.errors import Unequal
from tapeline_backfill.journal import Journal
from tapeline_backfill.rereading import lost
from tapeline_backfill.settings import BackfillSettings
from tapeline_backfill.tape import Tape
from tapeline_backfill.windows import parts, span_ns

_DAY_NS = 86_400_000_000_000


async def verify(journal: Journal, tape: Tape) -> None:
    """Read what was published back from the tape. Raises Unequal where it is not just that.

    What the tape has lost does not come back: then only what is published from now on counts.
    """
    event, cursor = journal.event, Cursor.of(journal.event)
    found = await journal.alive(asyncio.to_thread(tape.published, event.request, cursor.since or 0, cursor.first))
    frames = cursor.frame - cursor.first
    wanted = (event.published, int(event.ids or "0", 16), frames, True)
    if found.records < event.published:
        journal.correct(**lost(event))
    if (found.records, found.ids, found.frames, found.in_order) != wanted:
        raise Unequal(
            f"the tape has {found.records:,} records in {found.frames:,} frames, and published were"
            f" {event.published:,} in {frames:,}; or they are others"
        )


async def prove(
    journal: Journal, ways: Sequence[BackEnd], settings: BackfillSettings, now_ns: Callable[[], int]
) -> None:
    """Ask the vendor how many records the window has, and tell `proven` where so many were read.

    Where it does not say, or not yet, `completed` is told again with the time of the next try, if there is to be one.
    Raises Unequal where it has another number.
    """
    event = journal.event
    reason = f"no back end of {event.request.source} counts the window's records yet"
    is_final = False
    try:
        counted = await count(journal, event.request, ways, now_ns())
    except Retryable as error:
        counted, reason = None, str(error)
    except Misconfigured as error:
        counted, reason, is_final = None, str(error), True
    if counted is None:
        at_ns = None if is_final else next_proof_ns(event.request, settings, now_ns())
        await journal.tell(event.type, reason=reason, next_attempt_at=at_ns)
    elif counted == event.read:
        await journal.tell("proven", counted=counted, proven_empty=not counted)
    else:
        journal.correct(counted=counted)
        raise Unequal(f"the vendor counts {counted:,} records in the window, and {event.read:,} were read")


def next_proof_ns(request: BackfillRequest, settings: BackfillSettings, now_ns: int) -> int | None:
    """Return when (ns since the epoch) a window's count is asked for again; None: not any more. Pure.

    Of a window that was long over when it was asked for, the vendor may be away at first all the same.
    """
    at_ns = now_ns + round(settings.proof_interval_s * 1e9)
    since_ns = max(request.window.ts_event_until, request.requested_at)
    return at_ns if at_ns <= since_ns + round(settings.proof_limit_days * _DAY_NS) else None


async def count(journal: Journal, request: BackfillRequest, ways: Sequence[BackEnd], now_ns: int) -> int | None:
    """Return how many records the vendor counts in the window; None where no back end counts all of it."""
    window = request.window
    for way in ways:
        reach = way.reach(request, now_ns)
        if (
            reach is not None
            and reach.ts_event_from <= window.ts_event_from
            and window.ts_event_until <= reach.ts_event_until
        ):
            counted = await journal.alive(way.count(request, window))
            if counted is not None:
                return counted
    plan = parts(request, [window], ways, now_ns)
    if len(plan) < 2 or span_ns(part.interval for part in plan) < span_ns([window]):
        return None
    total = 0
    for way, interval, _ in plan:
        counted = await journal.alive(way.count(request, interval))
        if counted is None:
            return None
        total += counted
    return total
