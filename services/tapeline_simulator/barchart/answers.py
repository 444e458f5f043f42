"""An answer of the site, and how it goes out: whole, cut short, or with a reset in its middle."""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Final

from aiohttp import web

from tapeline_simulator.barchart.faults import SiteFault
from tapeline_simulator.barchart.pages import challenge_page, plain_page
from tapeline_simulator.barchart.payload import encode
from tapeline_simulator.barchart.sessions import Session

JSON: Final = "application/json"
HTML: Final = "text/html"
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_FOUND: Final = 302


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, a body and its type; where there is a `session`, its cookies go with it."""

    status: int
    body: bytes
    content_type: str = HTML
    session: Session | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def page(html: str, session: Session | None = None, *, status: int = 200) -> Answer:
    """Return a page."""
    return Answer(status, html.encode(), HTML, session)


def document(value: object, session: Session | None = None, *, status: int = 200) -> Answer:
    """Return JSON."""
    return Answer(status, encode(value), JSON, session)


def redirect(path: str, session: Session) -> Answer:
    """Lead elsewhere."""
    return Answer(_FOUND, b"", HTML, session, {"Location": path})


def refusal(status: int, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Refuse, as the vendor's framework does."""
    return Answer(status, encode({"message": message}), JSON, headers=headers or {})


def challenge(status: int) -> Answer:
    """Return the page of the firewall."""
    return Answer(status, challenge_page().encode(), HTML, headers={"x-amzn-waf-action": "challenge"})


def html_instead(status: int) -> Answer:
    """Return a page where JSON was asked for."""
    return page(plain_page("Sorry", "We are having trouble. Please try again in a few minutes."), status=status)


def too_many(wait_s: float, retry_after: str, now_ns: int) -> Answer:
    """Refuse a call that came too early; `retry_after` is ``seconds``, ``date`` or ``none``."""
    return refusal(429, "Too Many Attempts.", retry_after_header(wait_s, retry_after, now_ns))


def retry_after_header(wait_s: float, form: str, now_ns: int) -> dict[str, str]:
    """Return the header Retry-After in one of its two forms, or none."""
    whole_s = max(1, -int(-wait_s // 1))
    if form == "seconds":
        return {"Retry-After": str(whole_s)}
    if form == "date":
        at = datetime.fromtimestamp(now_ns // 10**9, UTC) + timedelta(seconds=whole_s)
        return {"Retry-After": format_datetime(at, usegmt=True)}
    return {}


async def send(
    request: web.Request, answer: Answer, cookies: Mapping[str, str], fault: SiteFault | None
) -> web.StreamResponse:
    """Send an answer; of the faults, truncated-json and reset happen to its body."""
    body = answer.body
    if fault is not None and fault.name == "truncated-json":
        body = body[: int(len(body) * fault["share"])]
    response = web.StreamResponse(
        status=answer.status, headers={**answer.headers, "Cache-Control": "no-cache, private"}
    )
    response.content_type, response.charset = answer.content_type, "utf-8"
    response.content_length = len(body)
    for name, value in cookies.items():
        is_hidden = name.startswith("laravel")
        response.set_cookie(name, value, path="/", max_age=7_200, httponly=is_hidden, samesite="Lax")
    await response.prepare(request)
    if fault is not None and fault.name == "reset":
        await response.write(body[: int(len(body) * fault["share"])])
        reset(request)
        return response
    with suppress(ConnectionError):
        await response.write(body)
        await response.write_eof()
    return response


def reset(request: web.Request) -> None:
    """End the connection of a request with an RST."""
    if request.transport is not None:
        end = request.transport.get_extra_info("socket")
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        request.transport.abort()
