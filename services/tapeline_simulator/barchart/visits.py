"""The pages of the site: quotes, login and logout, and the session that goes with them."""

from __future__ import annotations

from hmac import compare_digest

from aiohttp import web

from tapeline_simulator.barchart.answers import Answer, page, redirect
from tapeline_simulator.barchart.faults import SiteFault
from tapeline_simulator.barchart.market import ChainMarket, ListedSeries, MarketView, find_series
from tapeline_simulator.barchart.pages import login_page, plain_page, quote_page, series_path
from tapeline_simulator.barchart.sessions import Session, Sessions
from tapeline_simulator.barchart.settings import SiteSettings


class Visits:
    """Answers who visits the site's pages."""

    def __init__(self, settings: SiteSettings, sessions: Sessions, market: ChainMarket) -> None:
        self._settings = settings
        self._sessions = sessions
        self._market = market

    async def home(self, request: web.Request, _fault: SiteFault | None) -> Answer:
        """Show the first page, which is where a login leads."""
        session = self._session(request)
        html = plain_page("Barchart", "Futures.", csrf_token=session.csrf_token, is_logged_in=session.is_logged_in)
        return page(html, session)

    async def show_login(self, request: web.Request, _fault: SiteFault | None) -> Answer:
        """Show the login form, to those alone who are not logged in."""
        session = self._session(request)
        if session.is_logged_in:
            return redirect("/", session)
        return page(login_page(session.csrf_token, is_rejected=session.was_rejected), session)

    async def log_in(self, request: web.Request, _fault: SiteFault | None) -> Answer:
        """Lead away from the form with good credentials and the form's token, back to it with bad ones."""
        form = {name: str(value) for name, value in (await request.post()).items()}
        session = self._sessions.find(request.cookies)
        if session is None or not compare_digest(session.csrf_token.encode(), form.get("_token", "").encode()):
            return page(plain_page("Page Expired", "Page Expired"), status=419)
        password = self._settings.accounts.get(form.get("email", ""))
        if password is None or not compare_digest(password.encode(), form.get("password", "").encode()):
            session.was_rejected = True
            return redirect("/login", session)
        self._sessions.end(session)
        return redirect("/", self._sessions.open(is_logged_in=True))

    async def log_out(self, request: web.Request, _fault: SiteFault | None) -> Answer:
        """End the session."""
        self._sessions.end(self._session(request))
        return redirect("/", self._sessions.open())

    async def show_quotes(self, request: web.Request, _fault: SiteFault | None) -> Answer:
        """Show the options of a future; a series under another future's address leads to its own."""
        session, view = self._session(request), self._market.view()
        future, asked = request.match_info["future"], request.match_info.get("series", "")
        futures = {each.symbol: each for each in view.futures}
        if future not in futures:
            return page(plain_page("Page Not Found", "404 - Page Not Found"), session, status=404)
        series = find_series(view, asked) if asked else _first(view, future)
        if series is None:
            return page(plain_page("Options", "There is no option data.", csrf_token=session.csrf_token), session)
        if asked and series.future != future:
            query = f"?{request.query_string}" if request.query_string else ""
            return redirect(series_path(series) + query, session)
        html = quote_page(
            futures[series.future],
            series,
            view.series,
            at_ns=view.at_ns,
            delay_s=self._settings.delay_s,
            csrf_token=session.csrf_token,
            csrf_late_ms=self._settings.csrf_late_ms,
            is_merged=request.query.get("futuresOptionsView") == "merged",
            is_logged_in=session.is_logged_in,
        )
        return page(html, session)

    def _session(self, request: web.Request) -> Session:
        return self._sessions.find(request.cookies) or self._sessions.open()


def _first(view: MarketView, future: str) -> ListedSeries | None:
    """Return what the page of a future shows where no series is asked for: its quarterly, or else its next."""
    return find_series(view, future) or next((each for each in view.series if each.future == future), None)
