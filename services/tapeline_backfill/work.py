"""Does one request: from what the tape says of it to its end, or to where it is tried again."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from typing import Any, Final, Literal

from tapeline.bus.transactions import TransactionalPublisher
from tapeline.errors import BadData, BrokerUnavailable, DeliveryFailed, Fenced, Misconfigured, Retryable, TopicMismatch
from tapeline.feed.back_ends import BackEnd
from tapeline.feed.budget import Budgets
from tapeline.feed.cost import Cap
from tapeline.model.backfill import BackfillEvent, BackfillRequest, EventType
from tapeline.ops.logs import get_logger
from tapeline_backfill.bill import bill_caps
from tapeline_backfill.budget import caps
from tapeline_backfill.errors import NotYet, Unequal
from tapeline_backfill.filling import Filling
from tapeline_backfill.journal import Halt, Halted, Journal
from tapeline_backfill.proving import prove, verify
from tapeline_backfill.recompute import Recomputed
from tapeline_backfill.requests import FILLED, GIVEN_UP, is_done, is_to_be_recomputed, is_waiting
from tapeline_backfill.rereading import anew, asked_again, tries
from tapeline_backfill.retries import next_attempt_ns
from tapeline_backfill.rivals import rivals_before, shut_out, transactional_id
from tapeline_backfill.settings import BackfillSettings
from tapeline_backfill.tape import Tape
from tapeline_backfill.yielding import LiveLag

log = get_logger("backfill")

Outcome = Literal["told", "fenced", "away"]
"""How work on a request ended: as its last event says; another worker has it; to be tried again, as Kafka is away."""

Recompute = Callable[[BackfillRequest], Awaitable[Recomputed]]
"""Computes anew what a filled request touches. Raises Retryable where it could not, yet."""

_BEATS: Final = 4
_NOT_BEGUN: Final[frozenset[EventType]] = frozenset({"requested", "accepted", "estimated", "failed"})


class Work:
    """One turn of work on one request.

    `ways` gives the source's back ends and may raise Misconfigured; `budgets` are the month's and `spent_micro_usd`
    gives what its other requests come to, `hold` is told what this one does; `known` is the last event that was heard,
    `rivals` the last ones of other requests that bring the same, and `since` the offset of the next event.
    """

    def __init__(
        self,
        request: BackfillRequest,
        bootstrap: str,
        settings: BackfillSettings,
        ways: Callable[[], Sequence[BackEnd]],
        halt: Callable[[], Halt],
        *,
        known: BackfillEvent | None,
        rivals: Sequence[BackfillEvent],
        since: int,
        budgets: Budgets,
        spent_micro_usd: Callable[[], int],
        hold: Callable[[int], None],
        recompute: Recompute | None,
        now_ns: Callable[[], int] = time.time_ns,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._request = request
        self._bootstrap = bootstrap
        self._settings = settings
        self._ways = ways
        self._halt = halt
        self._known = known
        self._rivals = rivals
        self._since = since
        self._budgets = budgets
        self._spent_micro_usd = spent_micro_usd
        self._hold = hold
        self._recompute = recompute
        self._now_ns = now_ns
        self._random = random
        self._tape = Tape(bootstrap)

    async def run(self) -> Outcome:
        """Take the request over from whoever has it, and do of it what can be done now."""
        request = self._request
        # To open is to end what a dead worker began; only then is what it left to be seen.
        with closing(
            TransactionalPublisher(
                self._bootstrap, transactional_id(request.id), timeout_s=self._settings.transaction_timeout_s
            )
        ) as publisher:
            try:
                await asyncio.to_thread(publisher.open)
                last = await asyncio.to_thread(self._tape.last_event, request.id, self._since, self._known)
                return await self._turn(
                    Journal(
                        publisher,
                        last or BackfillEvent(type="requested", request=request, at=0),
                        self._settings.worker,
                        self._settings.takeover_s / _BEATS,
                        self._halt,
                        self._now_ns,
                    ),
                    is_new=last is None,
                )
            except Fenced as error:
                log.warning("fenced", request=request.id, reason=str(error))
                return "fenced"
            except Retryable as error:
                log.warning("Kafka is away", request=request.id, reason=str(error))
                return "away"

    async def _turn(self, journal: Journal, *, is_new: bool) -> Outcome:
        try:
            # Another worker, or this one a moment ago, may have done it since it was found to be due.
            if not is_new and is_done(journal.event, self._request, recomputes=self._recompute is not None):
                return "told"
            journal.check()
            if not is_new and is_waiting(journal.event, self._now_ns()):
                return "told"
            if is_new or journal.event.type in GIVEN_UP:
                changes = {} if is_new else asked_again(journal.event)
                unknown: dict[str, Any] = {"counted": None, "revised_rows": None}
                await journal.tell("requested", request=self._request, attempt=0, **unknown, **changes)
            if journal.event.type not in FILLED:
                await self._fill(journal, self._ways())
            return await self._finish(journal)
        except Halted as halted:
            await self._halted(journal, halted.halt)
        except (BrokerUnavailable, DeliveryFailed):
            raise
        except (Retryable, TopicMismatch) as error:
            # A topic that is not there may be made, or made anew, at this moment.
            await self._failed(journal, error)
        except (Misconfigured, BadData) as error:
            if journal.event.attempt:
                await journal.tell("failed", then="dead_lettered", failure="permanent", reason=str(error))
            else:
                await journal.tell("rejected", failure="permanent", reason=str(error))
        except Fenced:
            raise
        except Exception as error:
            if journal.event.type in FILLED:
                await self._prove_later(journal, error)
                raise
            # The service ends by it; begun again, it is not to end by this request time and again.
            if journal.event.type in _NOT_BEGUN:
                journal.correct(attempt=journal.event.attempt + 1)
            await self._failed(journal, error)
            raise
        return "told"

    async def _fill(self, journal: Journal, ways: Sequence[BackEnd]) -> None:
        lag = LiveLag(self._bootstrap, self._request.source, self._settings)
        request, settings = journal.event.request, self._settings
        try:
            bill = await journal.alive(
                asyncio.to_thread(bill_caps, self._bootstrap, self._budgets, journal.event, self._now_ns())
            )

            def limits() -> list[Cap]:
                return [*caps(request, settings, self._spent_micro_usd()), *bill]

            filling = Filling(journal, ways, self._tape, lag, limits, self._hold, settings, self._now_ns)
            await filling.run(lambda: journal.alive(asyncio.to_thread(self._shut_out, journal.event)))
        finally:
            await lag.close()

    def _shut_out(self, started: BackfillEvent) -> None:
        rivals = rivals_before(started, self._rivals, self._tape.events(self._since))
        if rivals:
            log.warning("others bring the same and are shut out", request=started.key, others=rivals)
        shut_out(self._bootstrap, rivals, self._settings.transaction_timeout_s)

    async def _finish(self, journal: Journal) -> Outcome:
        if journal.event.type not in FILLED:
            await verify(journal, self._tape)
            await journal.tell("completed", next_attempt_at=self._now_ns())
        next_at = journal.event.next_attempt_at
        if journal.event.counted is None and next_at is not None:
            if journal.is_cancelled:
                await journal.tell(journal.event.type, reason="a command has cancelled its proof")
            elif next_at <= self._now_ns():
                try:
                    await prove(journal, self._ways(), self._settings, self._now_ns)
                except (Misconfigured, BadData) as error:
                    await self._prove_later(journal, error)
        if self._recompute is None or not is_to_be_recomputed(journal.event):
            return "told"
        # The proof may still be to come.
        next_at = journal.event.next_attempt_at
        try:
            recomputed = await journal.alive(self._recompute(journal.event.request))
        except Retryable as error:
            log.warning("not recomputed yet", request=self._request.id, reason=str(error))
            return "away"
        except (Fenced, Halted):
            raise
        except Exception as error:
            await journal.tell("recomputed", revised_rows=0, next_attempt_at=next_at, reason=str(error))
            if not isinstance(error, Misconfigured | BadData):
                raise
        else:
            changes: dict[str, Any] = {"revised_rows": recomputed.rows, "reason": recomputed.reason}
            await journal.tell("recomputed", next_attempt_at=next_at, **changes)
        return "told"

    async def _prove_later(self, journal: Journal, error: Exception) -> None:
        """Tell why what is on the tape was not proven: it stays there."""
        if journal.event.counted is None and journal.event.next_attempt_at is not None:
            later_ns = self._now_ns() + round(self._settings.proof_interval_s * 1e9)
            await journal.tell(journal.event.type, reason=str(error), next_attempt_at=later_ns)

    async def _failed(self, journal: Journal, error: Exception) -> None:
        event = journal.event
        at_ns = next_attempt_ns(error, tries(event, error), self._settings, self._now_ns(), self._random)
        if at_ns is not None and event.type in _NOT_BEGUN and not isinstance(error, NotYet):
            # What does not even begin is tried for ever, and so more and more seldom.
            waited_ns = max(0, self._now_ns() - event.request.requested_at)
            at_ns = max(at_ns, self._now_ns() + min(waited_ns // 4, round(self._settings.retry_longest_s * 1e9)))
        changes: dict[str, Any] = {}
        if isinstance(error, Unequal) and at_ns is not None:
            changes = anew(event)
        await journal.tell(
            "failed",
            then="dead_lettered" if at_ns is None else None,
            failure="permanent" if at_ns is None else "transient",
            next_attempt_at=at_ns,
            reason=str(error) or repr(error),
            **changes,
        )

    async def _halted(self, journal: Journal, halt: Halt) -> None:
        if halt == "cancelled":
            await journal.tell("cancelled", reason="a command has cancelled it")
        elif journal.event.at:
            # Nobody's: whoever comes next goes on with it at once.
            kept = {name: getattr(journal.event, name) for name in ("failure", "next_attempt_at")}
            await journal.tell(journal.event.type, worker="", reason="the worker stopped", **kept)
