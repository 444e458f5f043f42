"""Whether Kafka answers one part of the watchdog, which goes on once it does and says so, once each way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from structlog.stdlib import BoundLogger

from tapeline.errors import Retryable, TopicMismatch
from tapeline.ops.stopping import wait_unless

IDLE_WAIT_MS: Final = 500
"""Whoever listens all the time need not hear often that there is nothing new."""
_RETRY_S: Final = 1.0


class Presence:
    """Kafka as one part sees it; `what` names in the log what that part lacks meanwhile."""

    def __init__(self, log: BoundLogger, what: str) -> None:
        self._log = log
        self._what = what
        self.is_away = False

    def lost(self, error: Exception) -> None:
        """Take note that Kafka did not answer."""
        if not self.is_away:
            self._log.warning(f"{self._what}_away", reason=str(error))
        self.is_away = True

    def found(self) -> None:
        """Take note that it did."""
        if self.is_away:
            self._log.info(f"{self._what}_back")
        self.is_away = False

    async def watch(
        self, stopped: asyncio.Event, watch: Callable[[], Awaitable[None]], again_s: float = _RETRY_S
    ) -> None:
        """Do `watch` until `stopped`, and again after `again_s` where it returns or Kafka does not answer."""
        while not stopped.is_set():
            try:
                await watch()
            except (Retryable, TopicMismatch) as error:
                self.lost(error)
            await wait_unless(stopped, again_s)
