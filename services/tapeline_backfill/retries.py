"""When a request is tried again. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tapeline_backfill.errors import NotYet, Unequal
from tapeline_backfill.settings import BackfillSettings

_READS: Final = 2


def next_attempt_ns(
    error: Exception, attempt: int, settings: BackfillSettings, now_ns: int, random: Callable[[], float]
) -> int | None:
    """Return when (ns since the epoch) a request goes on after attempt number `attempt`, from 1, failed; None: never.

    The wait doubles from attempt to attempt, with up to a quarter of jitter, and is no shorter than a vendor asks for.
    What nobody has yet is waited for, however often; where counts disagree, all is read once more and no oftener, as
    it is paid for. `random` gives numbers in [0, 1).
    """
    if isinstance(error, NotYet):
        return error.at_ns
    if attempt >= (min(_READS, settings.attempts) if isinstance(error, Unequal) else settings.attempts):
        return None
    asked_s: float = getattr(error, "retry_after_s", None) or 0.0
    wait_s = min(settings.retry_longest_s, settings.retry_first_s * 2.0 ** (attempt - 1))
    return now_ns + round(max(wait_s * (1.0 - random() / 4), asked_s) * 1e9)
