"""Trying again what may go better the next time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from tapeline.errors import Retryable
from tapeline.feed.backoff import full_jitter
from tapeline.ops.logs import get_logger
from tapeline_databento.errors import HistoryAway

ATTEMPTS: Final = 5
LONGEST_WAIT_S: Final = 120.0
"""A vendor that asks for more is told to the user instead."""

T = TypeVar("T")

log = get_logger("databento.history")


def retrying(
    call: Callable[[], T],
    sleep: Callable[[float], None],
    random: Callable[[], float],
    attempts: int = ATTEMPTS,
) -> T:
    """Return what `call` returns; where it raises Retryable, wait and call again, `attempts` times in all.

    A wait is never shorter than the vendor asks for. Raises what the last call raised.
    """
    for attempt in range(attempts - 1):
        try:
            return call()
        except Retryable as error:
            asked_s = error.retry_after_s if isinstance(error, HistoryAway) else 0.0
            if asked_s > LONGEST_WAIT_S:
                raise
            wait_s = max(asked_s, full_jitter(attempt, random))
            log.warning("trying again", fault=str(error), wait_s=round(wait_s, 3), attempt=attempt + 1)
            sleep(wait_s)
    return call()
