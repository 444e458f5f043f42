"""The Live Subscription Gateway on loopback: takes connections, and lets things go wrong with them."""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from collections import deque
from collections.abc import Callable, Collection
from functools import partial
from itertools import count
from types import TracebackType
from typing import Final, Self

from tapeline.errors import BadData, Misconfigured
from tapeline_simulator.databento.books import Books, TapeBooks
from tapeline_simulator.databento.connection import Connection
from tapeline_simulator.databento.faults import GatewayFault, GatewayFaults
from tapeline_simulator.databento.marks import BadBooks
from tapeline_simulator.databento.service import GatewaySettings, Service
from tapeline_simulator.databento.session import Session
from tapeline_simulator.databento.tape import VendorTape
from tapeline_simulator.databento.wire import Fault
from tapeline_simulator.listings import Listing

SESSIONS_REMEMBERED: Final = 1_000

_BACKLOG: Final = 128
_CHALLENGE_BYTES: Final = 16
_ERRORS: Final = {"revoked-key": Fault.API_KEY_DEACTIVATED, "connection-limit": Fault.CONNECTION_LIMIT_EXCEEDED}


class Gateway:
    """Serve `tape` for as long as the `async with` block lasts; `port` is the one that it listens on.

    `keys` are the API keys that are good, looked up at each connection. `books` tells snapshots; without it the books
    are kept by the tape's own records. `faults` lets things go wrong. `sessions` are all, the newest last; of those
    that ended the last SESSIONS_REMEMBERED. Raises Misconfigured where it cannot listen.
    """

    def __init__(
        self,
        tape: VendorTape,
        *,
        keys: Collection[str],
        books: Books | None = None,
        settings: GatewaySettings = GatewaySettings(),  # noqa: B008  frozen
        host: str = "127.0.0.1",
        port: int = 0,
        clock_ns: Callable[[], int] = time.time_ns,
        challenge: Callable[[], str] = lambda: secrets.token_hex(_CHALLENGE_BYTES),
    ) -> None:
        self.tape = tape
        self.host = host
        self.port = port
        self.faults = GatewayFaults(self._befall, self._wake)
        self.connections_refused = 0
        self._bad_books = BadBooks(tape)
        self._settings = settings
        self._service = Service(
            tape,
            books or TapeBooks(tape),
            self._bad_books,
            self.faults,
            keys,
            settings,
            clock_ns,
            challenge,
            lambda: sum(session.is_open for session in self._open),
        )
        self._clock_ns = clock_ns
        self._numbers = count(1)
        self._open: dict[Session, asyncio.Task[None]] = {}
        self._ended: deque[Session] = deque(maxlen=SESSIONS_REMEMBERED)
        self._connected_s: deque[float] = deque()
        self._failures: list[BaseException] = []
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None

    @property
    def sessions(self) -> list[Session]:
        """Sessions in the order of their connections, those that ended too."""
        return sorted((*self._ended, *self._open), key=lambda session: session.number)

    async def __aenter__(self) -> Self:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self.host, self.port))
        except OSError as error:
            listener.close()
            raise Misconfigured(
                f"gateway: cannot listen on {self.host}:{self.port}: {error.strerror} (set another --port, or 0)"
            ) from None
        if self._settings.send_buffer_bytes is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._settings.send_buffer_bytes)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        self._listener = listener
        self._accepting = asyncio.create_task(self._accept(listener))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.faults.clear()
        tasks = [task for task in (self._accepting, *self._open.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._listener is not None:
            self._listener.close()
        if self._failures and error is None:
            raise self._failures[0]

    # -- connections -------------------------------------------------------------------------------------------------

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            sock, _ = await loop.sock_accept(listener)
            if self.faults.active("refuse", "outage") or self._is_too_many(loop.time()):
                self.connections_refused += 1
                sock.close()
                continue
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            session = Session(next(self._numbers), Connection(sock), self._service)
            task = loop.create_task(session.run())
            self._open[session] = task
            task.add_done_callback(partial(self._forget, session))
            for fault in self.faults.active("flap"):
                loop.call_later(fault["every_ms"] / 1e3, self._flap, session, fault)

    def _is_too_many(self, now_s: float) -> bool:
        limit = self._settings.connections_per_s
        if limit is None:
            return False
        while self._connected_s and self._connected_s[0] <= now_s - 1.0:
            self._connected_s.popleft()
        if len(self._connected_s) >= limit:
            return True
        self._connected_s.append(now_s)
        return False

    def _forget(self, session: Session, task: asyncio.Task[None]) -> None:
        del self._open[session]
        self._ended.append(session)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failures.append(error)
            task.get_loop().call_exception_handler({"message": f"session {session.number}", "exception": error})

    # -- faults ------------------------------------------------------------------------------------------------------

    def _befall(self, fault: GatewayFault) -> None:
        """Let a fault that begins happen to the sessions that there are."""
        if fault.name == "bad-book":
            self._bad_books.add(fault.number, self._listed(fault["symbol"]).instrument_id)
        for session in list(self._open):
            if fault.name in ("rst", "outage"):
                session.reset()
            elif fault.name == "fin":
                session.finish()
            elif fault.name == "cut":
                session.cut(reset=fault["reset"])
            elif fault.name == "error":
                session.finish(Fault(fault["code"]), self.tape.dataset)
            elif fault.name in _ERRORS:
                session.finish(_ERRORS[fault.name])
            elif fault.name == "flap":
                asyncio.get_running_loop().call_later(fault["every_ms"] / 1e3, self._flap, session, fault)

    def _flap(self, session: Session, fault: GatewayFault) -> None:
        if fault in self.faults.active("flap"):
            session.reset()

    def _listed(self, symbol: str) -> Listing:
        listings = self.tape.listings.resolve("raw_symbol", symbol, self._clock_ns())
        if not listings:
            raise BadData("symbol", f"must be the raw symbol of an instrument that is listed now, is {symbol!r}")
        return listings[0]

    def _wake(self) -> None:
        self._bad_books.keep([fault.number for fault in self.faults.active("bad-book")])
        for session in self._open:
            session.wake()
