"""A gateway that greets and authenticates as Databento's does, and then does what a test says, good or bad."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import databento_dbn as dbn
from databento.common.cram import get_challenge_response

from tapeline_databento.settings import DatabentoSettings

KEY = "db-scripted0123456789abcdefghijk"
START_NS = 1_790_000_000_000_000_000  # 2026-09-21T14:13:20Z, a Monday, the market is open


@dataclass
class Conversation:
    """One connection: what the client said, and the means to answer."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    authentication: dict[str, str] = field(default_factory=dict)
    requests: list[dict[str, str]] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def begin(self) -> None:
        """Take subscriptions until the session is to start; send the head."""
        while (line := await self.line())[0] != "start_session":
            self.requests.append(fields(line[1]))
        await self.send(head())

    async def line(self) -> tuple[str, str]:
        """Return the next line, and its first name before it. Raises ConnectionError where the client is gone."""
        text = (await self.reader.readline()).decode().strip()
        if not text:
            raise ConnectionError
        return text.partition("=")[0], text

    async def send(self, data: bytes) -> None:
        """Send, and wait while the client does not read."""
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """End with RST."""
        end: socket.socket = self.writer.get_extra_info("socket")
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[Conversation], Awaitable[None]]


class ScriptedGateway:
    """Serves on a port of loopback; every connection is handed to `script` once it is authenticated.

    `greets` takes the greeting and the authentication over, where a test wants them otherwise.
    """

    def __init__(self, script: Script, greets: Script | None = None) -> None:
        self._script = script
        self._greets = greets or authenticate
        self.conversations: list[Conversation] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for conversation in self.conversations:
            conversation.reader.feed_eof()
            conversation.writer.transport.abort()
            await conversation.ended.wait()
        await self._server.wait_closed()

    def settings(self, **others: object) -> DatabentoSettings:
        """Return settings that lead here; limits of the real gateway do not hold."""
        return DatabentoSettings.model_validate({"api_key": KEY, "gateway": "127.0.0.1", "port": self.port}).model_copy(
            update=others
        )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = Conversation(reader, writer)
        self.conversations.append(conversation)
        try:
            await self._greets(conversation)
            await self._script(conversation)
        except ConnectionError:
            pass
        finally:
            writer.close()
            conversation.ended.set()


async def authenticate(conversation: Conversation) -> None:
    """Greet, and check the key."""
    await conversation.send(b"lsg_version=0.9.4\ncram=challenge\n")
    conversation.authentication = fields((await conversation.line())[1])
    good = conversation.authentication.get("auth") == get_challenge_response("challenge", KEY)
    await conversation.send(b"success=1|session_id=1\n" if good else b"success=0|error=Authentication failed\n")


async def wait_for_end(conversation: Conversation) -> None:
    """Say nothing until the client goes away."""
    await conversation.reader.read()


def fields(line: str) -> dict[str, str]:
    """Return a line of ``name=value|name=value``."""
    return dict(part.partition("=")[::2] for part in line.split("|"))  # type: ignore[misc]


def head(*, symbols: int = 0) -> bytes:
    """Return the metadata of a live session."""
    return bytes(
        dbn.Metadata(
            dataset="GLBX.MDP3",
            start=START_NS,
            stype_in=None,
            stype_out=dbn.SType.INSTRUMENT_ID,
            schema=None,
            symbols=[f"SYMBOL{number}" for number in range(symbols)],
            version=3,
        )
    )


def order(
    sequence: int,
    *,
    instrument_id: int = 7,
    flags: int = 128,
    action: dbn.Action = dbn.Action.ADD,
    at_ns: int = START_NS,
) -> bytes:
    """Return one MBO record, `sequence` ms after `at_ns`."""
    return bytes(
        dbn.MBOMsg(
            publisher_id=1,
            instrument_id=instrument_id,
            ts_event=at_ns + sequence * 1_000_000,
            order_id=sequence,
            price=25_000_000_000_000,
            size=1,
            action=action,
            side=dbn.Side.BID,
            ts_recv=at_ns + sequence * 1_000_000 + 100,
            flags=flags,
            ts_in_delta=5,
            sequence=sequence,
        )
    )


def mapping(instrument_id: int, asked: str, raw: str) -> bytes:
    """Return a symbol mapping."""
    return bytes(
        dbn.SymbolMappingMsg(
            1, instrument_id, START_NS, dbn.SType.PARENT, asked, dbn.SType.RAW_SYMBOL, raw, START_NS, 2**64 - 1
        )
    )


def system(text: str, code: dbn.SystemCode, at_ns: int = START_NS) -> bytes:
    """Return a system message."""
    return bytes(dbn.SystemMsg(at_ns, text, code=code))


def error(text: str, code: dbn.ErrorCode) -> bytes:
    """Return an error message."""
    return bytes(dbn.ErrorMsg(START_NS, text, code=code))
