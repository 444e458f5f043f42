"""One client's session with the gateway, from its greeting to its end."""

from __future__ import annotations

import asyncio
from typing import Final, Literal

from tapeline.errors import BadData
from tapeline_simulator.databento import wire
from tapeline_simulator.databento.admission import Admission
from tapeline_simulator.databento.connection import Connection, Gone
from tapeline_simulator.databento.ledger import Ledger
from tapeline_simulator.databento.reading import TapeReader
from tapeline_simulator.databento.service import Service
from tapeline_simulator.databento.streaming import Farewell, Stream
from tapeline_simulator.databento.subscriptions import Subscription, SubscriptionLines
from tapeline_simulator.databento.wire import Authentication, Fault

State = Literal["greeted", "authenticated", "streaming", "closed"]
Ended = Literal["", "client", "refused", "fin", "rst"]

FAREWELL_S: Final = 2.0
"""A session that is to end waits so long for the client to take what was sent before."""


class _Refused(Exception):
    """The client is turned away, for a reason that it is told."""


class Session:
    """One connection. `run` serves it; everything else may be called meanwhile, on the same event loop.

    `subscriptions` are the whole ones that were asked for, `ledger` knows what was sent, `ended` how it ended.
    """

    def __init__(self, number: int, connection: Connection, service: Service) -> None:
        self.number = number
        self.state: State = "greeted"
        self.ended: Ended = ""
        self.authentication: Authentication | None = None
        self.subscriptions: list[Subscription] = []
        self.ledger = Ledger(service.tape)
        self.connection = connection
        self._service = service
        self._loop = asyncio.get_running_loop()
        self._lines = SubscriptionLines()
        self._began = asyncio.Event()
        self._changed = asyncio.Event()
        self._stream: Stream | None = None
        self._admission: Admission
        self._task: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether the client is authenticated and its session has not ended."""
        return self.state in ("authenticated", "streaming") and not self.ended

    # -- what others ask of it ---------------------------------------------------------------------------------------

    def reset(self) -> None:
        """End with an RST, at once."""
        if self.state != "closed":
            self.ended = "rst"
            self.connection.reset()
            self._cancel()

    def finish(self, fault: Fault | None = None, about: str = "") -> None:
        """End with a FIN after a whole record; with a fault: after the record that tells it."""
        self._leave(Farewell(b"" if fault is None else wire.error_record(fault, about, self._service.clock_ns())))

    def cut(self, *, reset: bool) -> None:
        """End inside of the next record, with a FIN or an RST."""
        if reset:
            self.connection.reset()
        self._leave(Farewell(cuts=True))

    def wake(self) -> None:
        """Look again at the tape and at what goes wrong."""
        self._changed.set()
        if self._stream is not None:
            self._stream.wake()

    def _leave(self, farewell: Farewell) -> None:
        if self.state == "closed" or self.ended:
            return
        self.ended = "rst" if self.connection.is_reset else "fin"
        if self._stream is None:
            self._cancel()
            return
        self._stream.leave(farewell)
        self._began.set()
        self._loop.call_later(FAREWELL_S, self._cancel)

    def _cancel(self) -> None:
        if self._task is not None and self.state != "closed":
            self._task.cancel()

    # -- the session -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve the client until either side ends it; an end is no error."""
        self._task = asyncio.current_task()
        stop_listening = self._service.tape.listen(self.wake)
        try:
            stream = await self._greet()
            if stream is not None:
                await self._serve(stream)
        except (Gone, TimeoutError):
            self.ended = self.ended or "client"
        except asyncio.CancelledError:
            if not self.ended or self._task is None:
                raise
            self._task.uncancel()
        finally:
            stop_listening()
            self.state = "closed"
            await self.connection.close(politely=self.ended in ("fin", "refused"))

    async def _greet(self) -> Stream | None:
        """Return the stream of a client that is authenticated, None where it was turned away. Raises Gone."""
        while any(fault["stage"] == "connection" for fault in self._service.faults.active("black-hole")):
            self._changed.clear()
            await self._changed.wait()
        challenge = self._service.challenge()
        async with asyncio.timeout(self._service.settings.authentication_s):
            await self.connection.send(wire.greeting(challenge))
            try:
                asked = wire.authentication_of(wire.fields_of(await self.connection.line()))
                self._check(asked, challenge)
            except (BadData, _Refused) as error:
                self.ended = "refused"
                await self.connection.send(wire.refused(str(error)))
                return None
            self.authentication, self.state = asked, "authenticated"
            await self.connection.send(wire.accepted(str(self.number)))
        reader = TapeReader(self._service.tape, self._service.bad_books, ts_out=asked.ts_out)
        self._stream = Stream(self.connection, self._service, asked, reader, self.ledger)
        self._admission = Admission(self._service, reader, self._stream.tell)
        return self._stream

    def _check(self, asked: Authentication, challenge: str) -> None:
        """Raise _Refused with what the client is told."""
        service, settings = self._service, self._service.settings
        wrong = {fault.name for fault in service.faults.active()}
        if "auth-failure" in wrong or not any(wire.answers(asked.answer, challenge, key) for key in service.keys):
            raise _Refused(wire.FAULT_TEXTS[Fault.AUTH_FAILED])
        if "revoked-key" in wrong:
            raise _Refused(wire.FAULT_TEXTS[Fault.API_KEY_DEACTIVATED])
        if "unentitled" in wrong or asked.dataset != service.tape.dataset:
            raise _Refused(f"A live data license is required to access {asked.dataset}.")
        interval_s = asked.heartbeat_interval_s
        least_s, most_s = settings.least_heartbeat_interval_s, settings.most_heartbeat_interval_s
        if interval_s is not None and not least_s <= interval_s <= most_s:
            raise _Refused(f"heartbeat_interval_s must be between {least_s:g} and {most_s:g}")
        if "connection-limit" in wrong or service.count_sessions() >= settings.most_sessions:
            raise _Refused(wire.FAULT_TEXTS[Fault.CONNECTION_LIMIT_EXCEEDED])

    async def _serve(self, stream: Stream) -> None:
        tasks = [asyncio.create_task(self._listen(stream)), asyncio.create_task(self._send(stream))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, stream: Stream) -> None:
        await self._began.wait()
        await stream.run(self._admission.follow_listings)

    async def _listen(self, stream: Stream) -> None:
        """Take control lines until the client goes away, which raises Gone."""
        while True:
            try:
                fields = wire.fields_of(await self.connection.line())
                if "start_session" in fields:
                    self._start()
                elif "schema" in fields:
                    self._subscribe(fields)
                    stream.wake()
                else:
                    raise BadData("control line", "must be a subscription or start_session")
            except BadData as error:
                self.finish(Fault.INVALID_SUBSCRIPTION, str(error))

    def _subscribe(self, fields: dict[str, str]) -> None:
        subscription = self._lines.add(fields)
        if subscription is None:
            return
        self.subscriptions.append(subscription)
        if self.state == "streaming":
            self._admission.admit(subscription, with_replay=False)
        elif self._admission.is_aged_out(subscription):
            self.finish(Fault.REPLAY_DATA_AGED_OUT, subscription.schema)

    def _start(self) -> None:
        if self.state == "authenticated":
            for subscription in self.subscriptions:
                self._admission.admit(subscription, with_replay=True)
            self.state = "streaming"
            self._began.set()
