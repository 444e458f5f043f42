"""Only what asks by an address or name of ours is answered, and no other site."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from tapeline_watchdog.web.guard import guard, is_ours

Client = TestClient[web.Request, web.Application]


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("127.0.0.1:8112", True),
        ("localhost:8112", True),
        ("LOCALHOST", True),
        ("[::1]:8112", True),
        ("10.0.0.7", True),
        ("tape.example", True),
        ("evil.example", False),
        ("localhost.evil.example:8112", False),
        ("127.0.0.1.evil.example", False),
        ("tape.example.evil.example", False),
        ("", False),
        ("[::1", False),
    ],
)
def test_hosts(host: str, ours: bool) -> None:
    assert is_ours(host, ("tape.example",)) is ours


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async def good(_: web.Request) -> web.Response:
        return web.Response(text="good")

    application = web.Application(middlewares=[guard(("tape.example",))])
    application.router.add_get("/", good)
    async with TestClient(TestServer(application)) as client:
        yield client


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "tape.example"}, 200),
        ({"Host": "evil.example"}, 421),
        ({"Host": "tape.example", "Origin": "https://tape.example"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://["}, 403),
    ],
)
async def test_who_is_answered(client: Client, headers: dict[str, str], status: int) -> None:
    answer = await client.get("/", headers=headers)
    assert answer.status == status
    assert ("good" in await answer.text()) is (status == 200)


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/", 200), ("GET", "/no", 404), ("POST", "/", 405)])
async def test_every_answer_has_the_policy(client: Client, method: str, path: str, status: int) -> None:
    answer = await client.request(method, path)
    assert answer.status == status
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
