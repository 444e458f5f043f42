"""All live input from Databento: one connection to its gateway, from greeting to the last record.

The official protocol class does the dialogue; what follows it, DBN, is received and decoded in bulk. What the official
client's own loop gets wrong at a session's end (a clean close, silence from the beginning, a pause of our own) is
decided here: every end is an error with its reason.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from typing import Final

from databento.live.protocol import DatabentoLiveProtocol

from tapeline.errors import BadData, Refused
from tapeline.feed.dbn import HEAD_PREFIX_BYTES, decode_head, head_bytes
from tapeline.feed.dbn_decoder import DbnDecoder, Decoded
from tapeline.ops.metrics import RECEIVE_PAUSES
from tapeline_databento.errors import Disconnected, GatewayAway, GatewayError, Silent, Undecodable
from tapeline_databento.receiving import ReceiveBuffer
from tapeline_databento.settings import DatabentoSettings
from tapeline_databento.subscriptions import SymbolType

MOST_HEAD_BYTES: Final = 65_536
"""A live session's head lists no symbols: it is short."""
SLICE_BYTES: Final = 256 * 1024
"""Records are decoded in slices of this size, which stay in the processor's cache."""
_TURN_S: Final = 0.005
"""After so long of decoding the event loop has a turn."""
_IDLE_S: Final = 1.0
"""So long a slice is waited for. Silence is told after that, as the whole process may have been stopped before it."""
_SHOWN_BYTES: Final = 32
_MENDED_BY_TIME: Final = (
    "connection limit",
    "internal",
    "try again",
    "temporar",
    "unavailable",
    "timeout",
    "timed out",
)

# At debug level the official protocol logs the last characters of the key.
logging.getLogger("databento").setLevel(logging.CRITICAL + 1)


class GatewayProtocol(DatabentoLiveProtocol):
    """One session with the gateway. Make it with `connect`; `subscribe`, `start`, then take `decoded`.

    `name` is what metrics and errors call it.
    """

    def __init__(self, settings: DatabentoSettings, name: str) -> None:
        super().__init__(
            settings.api_key.get_secret_value(),
            settings.dataset,
            heartbeat_interval_s=settings.heartbeat_interval_s,
            slow_reader_behavior="warn",
        )
        self._key = settings.api_key
        self._name = name
        self._silence_limit_s = settings.silence_limit_s
        self._loop = asyncio.get_running_loop()
        self._buffer = ReceiveBuffer(settings.receive_bytes, MOST_HEAD_BYTES)
        self._arrived = asyncio.Event()
        self._heard_s = self._loop.time()
        self._is_paused = False
        self._misread = ""
        self._pauses = RECEIVE_PAUSES.labels("databento", name)
        self._last_subscription = 0
        for ends in (self.authenticated, self.disconnected):
            # Both are looked at where they matter; an error that nobody waits for any more is no news.
            ends.add_done_callback(lambda future: future.cancelled() or future.exception())

    def get_buffer(self, sizehint: int) -> bytearray:
        """Return where the socket's next bytes belong."""
        if not self.authenticated.done():
            return super().get_buffer(sizehint)
        # asyncio takes any writable buffer; the official class promises a bytearray.
        return self._buffer.room()  # type: ignore[return-value]

    def buffer_updated(self, nbytes: int) -> None:
        """Take note of what was received; at the limit, stop reading."""
        self._heard_s = self._loop.time()
        if not self.authenticated.done():
            self._converse(nbytes)
            return
        self._buffer.received(nbytes)
        self._arrived.set()
        if self._buffer.is_full:
            self._is_paused = True
            self._pauses.inc()
            self.transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end; `decoded` tells it after all that came before it."""
        super().connection_lost(exc)
        self._arrived.set()

    def _converse(self, nbytes: int) -> None:
        try:
            super().buffer_updated(nbytes)
        except ValueError as error:
            # The official class has closed the transport; raised here, it would only be logged by the event loop.
            self._misread = str(error)

    async def authenticate(self, timeout_s: float) -> None:
        """Wait until the gateway has accepted the key.

        Raises Refused where it does not, GatewayAway where it goes away or takes longer than `timeout_s`.
        """
        await asyncio.wait(
            (self.authenticated, self.disconnected), timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
        )
        if not self.authenticated.done():
            if self._misread:
                raise GatewayAway(f"{self._name}: the gateway cannot be understood: {self._without_key(self._misread)}")
            if self.disconnected.done():
                raise GatewayAway(f"{self._name}: the gateway closed the connection before it authenticated")
            raise GatewayAway(f"{self._name}: the gateway did not authenticate within {timeout_s:g} s")
        error = self.authenticated.exception()
        if error is None:
            return
        said = self._without_key(str(error))
        if any(each in said.lower() for each in _MENDED_BY_TIME):
            raise GatewayError(f"{self._name}: the gateway refuses for now: {said}")
        raise Refused(
            f"{self._name}: the gateway refuses: {said}; check the key in TAPELINE_DATABENTO_API_KEY and, at"
            " databento.com, what it is entitled to"
        )

    def request(
        self, schema: str, symbols: Sequence[str], symbol_type: SymbolType, *, start_ns: int | None, snapshot: bool
    ) -> None:
        """Subscribe before the session starts: from `start_ns` on, with a snapshot first, or live from now."""
        self._last_subscription += 1
        self.subscribe(
            schema,
            symbols,
            symbol_type,
            start=start_ns,
            snapshot=snapshot,
            subscription_id=self._last_subscription,
        )

    async def decoded(self) -> AsyncGenerator[Decoded, None]:
        """Yield what `slices` yields, one by one."""
        async for decoded in self.slices():
            for each in decoded:
                yield each

    async def slices(self) -> AsyncGenerator[list[Decoded], None]:
        """Yield all that comes, until the session ends, which is always an error.

        A slice holds what came together, in the order that `DbnDecoder.decode_together` says; it is empty where nothing
        came for a second. Raises Disconnected, Silent or Undecodable, after all whole records that came before.
        """
        decoder = await self._after_head()
        turn_s = self._loop.time()
        while True:
            begin, data = decoder.position, self._buffer.rest[:SLICE_BYTES]
            try:
                decoded = decoder.decode_together(data)
            except BadData as error:
                raise self._undecodable(error, bytes(data[:_SHOWN_BYTES])) from None
            if decoded:
                yield decoded
            used = decoder.position - begin
            self._buffer.use(used)
            if not used:
                while not await self._more():
                    yield []
            elif self._loop.time() - turn_s > _TURN_S:
                await asyncio.sleep(0)
            else:
                continue
            turn_s = self._loop.time()

    async def _after_head(self) -> DbnDecoder:
        """Wait for the head; return a decoder of what follows it."""
        wanted = HEAD_PREFIX_BYTES
        try:
            while len(self._buffer.rest) < wanted:
                await self._more()
            wanted = head_bytes(bytes(self._buffer.rest[:HEAD_PREFIX_BYTES]), self._name)
            if wanted > MOST_HEAD_BYTES:
                raise BadData(f"{self._name}, byte 4", f"a live head has at most {MOST_HEAD_BYTES} bytes, not {wanted}")
            while len(self._buffer.rest) < wanted:
                await self._more()
            metadata = decode_head(bytes(self._buffer.rest[:wanted]), self._name)
        except BadData as error:
            raise self._undecodable(error, bytes(self._buffer.rest[:_SHOWN_BYTES])) from None
        self._buffer.use(wanted)
        return DbnDecoder(metadata, self._name, wanted)

    async def _more(self) -> bool:
        """Wait a while for more bytes and put them behind the rest; return whether any came."""
        while not len(self._buffer):
            if self.disconnected.done():
                raise self._end()
            try:
                async with asyncio.timeout(_IDLE_S):
                    await self._arrived.wait()
            except TimeoutError:
                silent_s = self._loop.time() - self._heard_s
                if silent_s > self._silence_limit_s:
                    raise Silent(f"{self._name}: nothing came for {silent_s:.0f} s, not even a heartbeat") from None
                return False
        self._arrived.clear()
        self._buffer.take()
        if self._is_paused:
            self._is_paused = False
            # Nothing could be heard meanwhile.
            self._heard_s = self._loop.time()
            self.transport.resume_reading()
        return True

    def _end(self) -> Disconnected:
        error = self.disconnected.exception()
        how = "the gateway closed the connection" if error is None else f"the connection was lost: {error}"
        rest = len(self._buffer.rest)
        cut = f", inside a record of which {rest} bytes were there" if rest else ""
        return Disconnected(f"{self._name}: {self._without_key(how)}{cut}")

    def _undecodable(self, error: BadData, shown: bytes) -> Undecodable:
        return Undecodable(f"{error}; the bytes there: {shown.hex()}")

    def _without_key(self, text: str) -> str:
        """Return `text` with the key blotted out, should somebody have put it there."""
        return text.replace(self._key.get_secret_value(), "…")


async def connect(settings: DatabentoSettings, name: str) -> GatewayProtocol:
    """Return an authenticated session, nothing subscribed to yet; `close` it in the end.

    Raises GatewayAway or GatewayError where another attempt may help, Refused where none will.
    """
    host, port = settings.gateway_host, settings.port
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(settings.connect_timeout_s):
            transport, protocol = await loop.create_connection(lambda: GatewayProtocol(settings, name), host, port)
    except TimeoutError:
        raise GatewayAway(
            f"{name}: {host}:{port} did not take a connection within {settings.connect_timeout_s:g} s"
        ) from None
    except OSError as error:
        raise GatewayAway(f"{name}: {host}:{port} cannot be reached: {error}") from None
    try:
        await protocol.authenticate(settings.authentication_timeout_s)
    except BaseException:
        transport.abort()
        raise
    return protocol
