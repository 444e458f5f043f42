"""What a failed call means for the calls to come: kept, so that all processes and the next start keep to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from tapeline.errors import Refused
from tapeline_barchart.breaker import Breaker, after_throttling
from tapeline_barchart.errors import Challenged, FetchFailed, HeldOff, SessionInvalid, Throttled
from tapeline_barchart.limits import CallLimit
from tapeline_barchart.settings import BarchartSettings

T = TypeVar("T")


class Guard:
    """Stands before a host's calls. `clock_ns` gives the time in ns since the epoch."""

    def __init__(self, settings: BarchartSettings, limit: CallLimit, clock_ns: Callable[[], int]) -> None:
        self._limit = limit
        self._breaker = Breaker(settings.breaker_failures, settings.breaker_open_s)
        self._throttled_s = settings.throttled_s
        self._clock_ns = clock_ns
        self._refused: Refused | None = None

    async def run(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Return what `ask` returns. Raises what it raises; Refused without asking, once it was raised."""
        if self._refused is not None:
            # More attempts with the same credentials may close the account.
            raise self._refused
        try:
            answered = await ask()
        except HeldOff:
            raise
        except Throttled as error:
            last = await self._limit.quiet("throttled")
            quiet = after_throttling(last, self._clock_ns(), error.retry_after_s, self._throttled_s)
            await self._limit.keep_quiet("throttled", quiet)
            raise
        except FetchFailed as error:
            is_refusal = isinstance(error, SessionInvalid | Challenged)
            last = await self._limit.quiet("breaker")
            quiet = self._breaker.after_failure(last, self._clock_ns(), str(error), at_once=is_refusal)
            await self._limit.keep_quiet("breaker", quiet)
            raise
        except Refused as error:
            self._refused = error
            raise
        await self._limit.all_is_well()
        return answered
