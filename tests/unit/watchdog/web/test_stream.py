"""The stream: the present state, then changes; a client that takes nothing is cut off, and holds up nobody."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Final

import orjson
import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from tapeline_watchdog.web.audience import Audience
from tapeline_watchdog.web.hub import Hub, Shelf
from tapeline_watchdog.web.parts import AVAILABILITY, NAMES, PartDocuments
from tapeline_watchdog.web.stream import Stream, events, pieces

DEADLINE_S: Final = 30.0
SHELVES: Final = {
    AVAILABILITY: Shelf(keys=16),
    **{name: Shelf(keys=1) for name in NAMES},
    "pressure": Shelf(keys=60, depth=120),
}


class Served:
    """A stream with all that it consists of."""

    def __init__(self, most: int = 3) -> None:
        self.hub = Hub(SHELVES)
        self.audience = Audience(most, linger_s=0.0)
        parts = PartDocuments(self.hub, {"feeds": lambda: {"at": "1"}})
        stream = Stream(self.hub, parts, self.audience, pause_s=0.01, patience_s=0.5, now_ns=lambda: 7)
        application = web.Application()
        application.router.add_get("/v1/stream", stream.answer)
        self.client: TestClient[web.Request, web.Application] = TestClient(TestServer(application))


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    served = Served()
    async with served.client:
        yield served
        served.audience.end()


async def event(answer: ClientResponse, name: str) -> str:
    """Return the next document of a type."""
    async with asyncio.timeout(DEADLINE_S):
        while (await answer.content.readline()).decode() != f"event: {name}\n":
            pass
        return (await answer.content.readline()).decode().removeprefix("data: ").rstrip("\n")


async def until(holds: Callable[[], bool]) -> None:
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + DEADLINE_S
    while not holds():
        assert loop.time() < deadline_s
        await asyncio.sleep(0.01)


def test_a_document_is_as_its_path_gives_it_and_rows_come_together() -> None:
    made = b"".join(events({"feeds": [b'{"a":1}'], "pressure": [b"1", b"2"]}))
    assert made == b'event: feeds\ndata: {"a":1}\n\nevent: pressure\ndata: {"rows":[1,2]}\n\n'


def test_very_many_rows_come_in_several_events_and_each_once() -> None:
    made = list(events({"pressure": [b"%d" % number for number in range(4_001)]}))
    rows = [orjson.loads(event.removeprefix(b"event: pressure\ndata: "))["rows"] for event in made]
    assert [len(each) for each in rows] == [2_000, 2_000, 1]
    assert [number for each in rows for number in each] == list(range(4_001))


def test_little_is_written_at_once_and_much_in_pieces() -> None:
    made = [b"%d:" % number + b"x" * 200_000 for number in range(7)]
    written = list(pieces(made))
    assert b"".join(written) == b"".join(made)
    assert max(map(len, written)) < 700_000
    assert list(pieces([b"a", b"b"])) == [b"ab"]
    assert list(pieces([])) == []


async def test_the_present_state_comes_first_and_then_what_changes(served: Served) -> None:
    served.hub.put("pressure", "NQ", {"mid": "1"})
    answer = await served.client.get("/v1/stream")
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert await event(answer, "begin") == '{"at":"7"}'
    assert await event(answer, "feeds") == '{"at":"1"}'
    assert await event(answer, "pressure") == '{"rows":[{"mid":"1"}]}'
    assert await event(answer, "beat") == '{"at":"7"}'
    served.hub.put("pressure", "NQ", {"mid": "2"})
    assert await event(answer, "pressure") == '{"rows":[{"mid":"2"}]}'
    assert served.audience.is_there
    answer.close()
    await until(lambda: not served.audience.is_there)


async def test_too_many_are_refused_and_come_in_when_one_has_gone(served: Served) -> None:
    answers = [await served.client.get("/v1/stream") for _ in range(3)]
    refused = await served.client.get("/v1/stream")
    assert (refused.status, refused.headers["Retry-After"]) == (503, "10")
    answers[0].close()
    await until(lambda: not served.audience.is_full)
    assert (await served.client.get("/v1/stream")).status == 200


async def test_a_client_that_takes_nothing_is_cut_off_and_holds_up_nobody(served: Served) -> None:
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    slow.setblocking(False)
    server = served.client.server
    loop = asyncio.get_running_loop()
    await loop.sock_connect(slow, ("127.0.0.1", server.port))
    await loop.sock_sendall(slow, b"GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    quick = await served.client.get("/v1/stream")
    await until(lambda: served.audience.count == 2)
    number = 0

    def put_and_look() -> bool:
        nonlocal number
        number += 1
        served.hub.put("pressure", "NQ", {"number": number, "filler": "x" * 400_000})
        return served.audience.count == 1

    beats = begins = 0

    async def read() -> None:
        nonlocal beats, begins
        while chunk := await quick.content.readany():
            beats += chunk.count(b"event: beat")
            begins += chunk.count(b"event: begin")

    reading = asyncio.create_task(read())
    await until(put_and_look)
    seen = beats
    await until(lambda: beats > seen)
    assert (seen > 0, begins) == (True, 1)
    reading.cancel()
    slow.close()


async def test_the_end_sends_everybody_home(served: Served) -> None:
    answer = await served.client.get("/v1/stream")
    await event(answer, "beat")
    served.audience.end()
    async with asyncio.timeout(DEADLINE_S):
        await answer.content.read()
    assert not await served.audience.arrives()
    assert (await served.client.get("/v1/stream")).status == 503
