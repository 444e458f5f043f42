"""What an event says when a request is read again, or is to do without what it had published. Pure.

All raise BadData where the event's cursor is damaged.
"""

from __future__ import annotations

from typing import Any

from tapeline.model.backfill import BackfillEvent
from tapeline_backfill.cursor import Cursor
from tapeline_backfill.errors import Unequal


def anew(event: BackfillEvent) -> dict[str, Any]:
    """Return what changes once all of the window is to be read again."""
    cursor = Cursor.of(event)
    return _from_the_beginning(cursor, cursor.reads + 1)


def asked_again(event: BackfillEvent) -> dict[str, Any]:
    """Return what changes once the request is made again: it goes on, or all is read again where all was."""
    cursor = Cursor.of(event)
    if not cursor.remaining(event.request.window):
        return _from_the_beginning(cursor, 1)
    return {"cursor": cursor.model_copy(update={"reads": 1}).encode()}


def lost(event: BackfillEvent) -> dict[str, Any]:
    """Return what changes once the tape has lost what was published: nothing counts that was before.

    Frames are numbered on, as some of those before may still be there.
    """
    cursor = Cursor.of(event)
    return {
        "published": 0,
        "ids": "",
        "cursor": cursor.model_copy(update={"since": None, "first": cursor.frame}).encode(),
    }


def tries(event: BackfillEvent, error: Exception) -> int:
    """Return the how manieth try it was that failed: where counts disagree, other failures before do not count."""
    return Cursor.of(event).reads if isinstance(error, Unequal) else max(1, event.attempt)


def _from_the_beginning(cursor: Cursor, reads: int) -> dict[str, Any]:
    begun = cursor.anew().model_copy(update={"reads": reads})
    return {"cursor": begun.encode(), "read": 0, "skipped": 0}
