"""A site that tells too much and asks too often: it shows the session and the e-mail address, and calls its API on."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from tests.integration.barchart.small_market import PAGE_PATH
from yarl import URL

from tapeline_simulator.barchart.pages import CORE_API

SESSION = "c2Vzc2lvbi1vZi10aGUtdGVsbHRhbGU"

_PAGE = f"""<title>{SESSION}</title><p>You are {SESSION}.</p>
<script>setInterval(() => fetch("{CORE_API}").catch(() => null), 20)</script>"""
_FORM = """<p>There is no account of {email}.</p>
<form method="post" action="/login"><input name="email" value="{email}">
<input type="password" name="password"><button type="submit">Log In</button></form>"""


@dataclass(slots=True)
class TelltaleSite:
    url: str = ""
    status: int = 200
    """What its API answers."""
    calls: Counter[str] = field(default_factory=Counter)

    async def page(self, request: web.Request) -> web.Response:
        self.calls[request.path] += 1
        answer = web.Response(text=_PAGE, content_type="text/html")
        answer.set_cookie("laravel_session", SESSION)
        answer.set_cookie("XSRF-TOKEN", f"xsrf-{SESSION}")
        return answer

    async def api(self, request: web.Request) -> web.Response:
        self.calls[request.path] += 1
        return web.json_response({"count": 0}, status=self.status)

    async def login(self, request: web.Request) -> web.Response:
        self.calls[request.path] += 1
        if request.method == "POST":
            email = str((await request.post())["email"])
            raise web.HTTPFound(URL("/login").with_query(email=email))
        email = html.escape(request.query.get("email", "nobody"))
        return web.Response(text=_FORM.format(email=email), content_type="text/html")


@asynccontextmanager
async def telltale_site() -> AsyncIterator[TelltaleSite]:
    site = TelltaleSite()
    application = web.Application()
    application.router.add_get(PAGE_PATH, site.page)
    application.router.add_get(CORE_API, site.api)
    application.router.add_route("*", "/login", site.login)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield site
    finally:
        await runner.cleanup()
