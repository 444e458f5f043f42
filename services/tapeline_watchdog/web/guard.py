"""What keeps other sites out: whose requests are answered, and what a browser may do with the answers.

A page of another site can make a browser ask us, and read the answer once its own name points to this machine (DNS
rebinding). It cannot change the Host that the browser sends then: only addresses and names that are ours are answered.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
    " require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


def is_ours(host: str, names: Collection[str]) -> bool:
    """Return whether a Host (with or without port) is an address, ``localhost`` or one of `names`."""
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    if name is None:
        return False
    if name == "localhost" or name in names:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_from(host: str, origin: str) -> bool:
    try:
        return urlsplit(origin).netloc == host
    except ValueError:
        return False


def guard(names: Collection[str]) -> Middleware:
    """Return a middleware that refuses what other sites ask for, and sets the headers of every answer."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not is_ours(request.host, names):
            return web.Response(
                status=421,
                text=f"{request.host!r} is not a name of this watchdog; TAPELINE_WATCHDOG_HOSTS names more\n",
                headers=HEADERS,
            )
        origin = request.headers.get("Origin")
        if origin is not None and not _is_from(request.host, origin):
            return web.Response(status=403, text="this is not for other sites\n", headers=HEADERS)
        try:
            response = await handler(request)
        except web.HTTPException as error:
            error.headers.update(HEADERS)
            raise
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    return guarded
