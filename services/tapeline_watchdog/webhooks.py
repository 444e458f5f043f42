"""Tells webhooks of incidents: each in its own order, again where it fails, never for ever, and never naming a URL."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, get_args

import aiohttp
from pydantic import SecretStr

from tapeline.model.incidents import Incident
from tapeline.ops.logs import get_logger
from tapeline.ops.metrics import WEBHOOK_POSTS
from tapeline_watchdog.incident_messages import Form, body, event

log = get_logger("webhooks")

Outcome = Literal["taken", "failed", "given_up", "dropped"]

_BUSY: Final = (408, 425, 429)
_MOST_QUEUED: Final = 100


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where to tell, and in which form. `name` is what logs and metrics call it, as its URL is a secret."""

    name: str
    form: Form
    url: SecretStr


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an answer is waited for, how often a message is tried, and the pauses between: a random part of
    `first_pause_s`, doubled each time up to `longest_pause_s`."""

    timeout_s: float = 10.0
    attempts: int = 10
    first_pause_s: float = 1.0
    longest_pause_s: float = 120.0

    def pause_s(self, failures: int) -> float:
        """Return the longest pause after so many failures."""
        return min(self.longest_pause_s, self.first_pause_s * 2.0 ** (failures - 1))


class _Answer(NamedTuple):
    is_taken: bool
    is_final: bool
    said: str


class _Message:
    """One incident on its way to all webhooks."""

    def __init__(
        self, incident: Incident, webhooks: int, on_told: Callable[[Incident], None], *, is_worse: bool
    ) -> None:
        self.incident = incident
        self.is_worse = is_worse
        self._left = webhooks
        self._on_told = on_told

    def done(self) -> None:
        """Note that one more webhook has it, or will not get it any more."""
        self._left -= 1
        if not self._left:
            self._on_told(self.incident)


class Webhooks:
    """Tells every webhook, each on its own, so that one that hangs holds up no other.

    `on_told` is called once all of them have a message, or it is given up for those that do not take it.
    """

    def __init__(
        self,
        webhooks: Sequence[Webhook],
        on_told: Callable[[Incident], None],
        patience: Patience | None = None,
        *,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._queues = [(webhook, asyncio.Queue[_Message](_MOST_QUEUED)) for webhook in webhooks]
        for webhook in webhooks:
            # What is there from the beginning can be seen to increase.
            for outcome in get_args(Outcome):
                WEBHOOK_POSTS.labels(webhook.name, outcome)
        self._on_told = on_told
        self._patience = patience or Patience()
        self._chance = chance

    def __bool__(self) -> bool:
        """Whether there is anybody to tell."""
        return bool(self._queues)

    def tell(self, incident: Incident, *, is_worse: bool = False) -> None:
        """Have an incident told as it is now, `is_worse` where it was told of before it got so; returns at once."""
        message = _Message(incident, len(self._queues), self._on_told, is_worse=is_worse)
        for webhook, queue in self._queues:
            try:
                queue.put_nowait(message)
            except asyncio.QueueFull:
                _note(webhook, message, "dropped", f"{_MOST_QUEUED} messages wait already")
                message.done()

    async def run(self) -> None:
        """Deliver what there is to be told, until cancelled."""
        timeout = aiohttp.ClientTimeout(total=self._patience.timeout_s)
        async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as group:
            for webhook, queue in self._queues:
                group.create_task(self._deliver_all(session, webhook, queue))

    async def _deliver_all(
        self, session: aiohttp.ClientSession, webhook: Webhook, queue: asyncio.Queue[_Message]
    ) -> None:
        while True:
            message = await queue.get()
            await self._deliver(session, webhook, message)
            message.done()

    async def _deliver(self, session: aiohttp.ClientSession, webhook: Webhook, message: _Message) -> None:
        for attempt in range(1, self._patience.attempts + 1):
            answer = await _post(session, webhook, message)
            if answer.is_taken:
                _note(webhook, message, "taken", answer.said)
                return
            if answer.is_final or attempt == self._patience.attempts:
                break
            _note(webhook, message, "failed", answer.said)
            await asyncio.sleep(self._chance() * self._patience.pause_s(attempt))
        _note(webhook, message, "given_up", answer.said)


async def _post(session: aiohttp.ClientSession, webhook: Webhook, message: _Message) -> _Answer:
    """Return what a webhook says. Whatever comes of it, its URL is not told: errors of the client would."""
    incident = message.incident
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": f"{incident.id}/{incident.state}/{incident.flaps}/{incident.severity}",
    }
    try:
        async with session.post(
            webhook.url.get_secret_value(),
            data=body(webhook.form, incident, is_worse=message.is_worse),
            headers=headers,
            allow_redirects=False,
        ) as response:
            status = response.status
    # UnicodeError: of a host that is no name, as one with two dots in a row, the client says no more.
    except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, UnicodeError):
        return _Answer(is_taken=False, is_final=True, said="it is no address of a web server")
    except TimeoutError:
        return _Answer(is_taken=False, is_final=False, said="no answer in time")
    except (aiohttp.ClientError, OSError) as error:
        return _Answer(is_taken=False, is_final=False, said=type(error).__name__)
    is_final = status < 500 and status not in _BUSY
    return _Answer(is_taken=200 <= status < 300, is_final=is_final, said=f"status {status}")


def _note(webhook: Webhook, message: _Message, outcome: Outcome, said: str) -> None:
    WEBHOOK_POSTS.labels(webhook.name, outcome).inc()
    tell = log.info if outcome == "taken" else log.warning
    tell(
        "webhook",
        webhook=webhook.name,
        outcome=outcome,
        said=said,
        what=event(message.incident, is_worse=message.is_worse),
        id=message.incident.id,
    )
