"""Barchart's site as one visitor: let in once, renewed once where that is over, and left alone when it fails."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar
from urllib.parse import urlsplit

from tapeline.errors import BadData
from tapeline.feed.barchart.page import ListedSeries, QuotePage, parse_page
from tapeline.feed.barchart.payload import parse_quote
from tapeline.model.chains import UnderlyingPrice
from tapeline.ops.logs import get_logger
from tapeline_barchart.authentication import Credentials
from tapeline_barchart.client import API_HEADERS, PAGE_HEADERS, HttpClient
from tapeline_barchart.errors import Challenged, SeriesUnknown, SessionInvalid
from tapeline_barchart.guard import Guard
from tapeline_barchart.kept import AnswerForm
from tapeline_barchart.limits import CallLimit
from tapeline_barchart.names import next_future
from tapeline_barchart.replies import Answer, Check, check_json, check_page
from tapeline_barchart.settings import BarchartSettings
from tapeline_barchart.strategies import authentication_of
from tapeline_barchart.vendor import Asked, Listing

CORE_API: Final = "/proxies/core-api/v1/quotes/get"
_CHAIN_FIELDS: Final = (
    "strike,openPrice,highPrice,lowPrice,lastPrice,priceChange,bidPrice,askPrice,volume,openInterest,premium,tradeTime,"
    "longSymbol,optionType,symbol,symbolCode,symbolType"
)
_META: Final = "field.shortName,field.description,field.type,lists.lastUpdate"

T = TypeVar("T")

log = get_logger("barchart.site")


class Site:
    """A `Vendor`: the site, by the strategy of the settings. `limit` counts its calls. Make it in the event loop."""

    def __init__(self, settings: BarchartSettings, limit: CallLimit, clock_ns: Callable[[], int]) -> None:
        self._settings = settings
        self._limit = limit
        self._clock_ns = clock_ns
        self._client = HttpClient(settings, limit.take, clock_ns)
        self._authentication = authentication_of(settings, self._client, limit.take)
        self._guard = Guard(settings, limit, clock_ns)
        self._credentials: Credentials | None = None
        self._page = ("", "")
        """Address and HTML of the page that was loaded on the way in, until it is read."""

    @property
    def form(self) -> AnswerForm:
        """What its own page gets."""
        return "core-api"

    @property
    def asked(self) -> Asked:
        """What was asked so far; the calls of a browser too, but not its bytes."""
        return Asked(self._limit.calls, self._client.bytes)

    async def listing(self, product: str) -> Listing:
        """Return the series that the page of the product's next future lists."""
        url = f"{self._settings.site}/futures/quotes/{next_future(product, self._clock_ns())}/options"

        async def ask(credentials: Credentials) -> QuotePage:
            # A page that was loaded on the way in says it already.
            (loaded, page), self._page = self._page, ("", "")
            if loaded != url or not page:
                answer = await self._client.get(url, check_page, headers={**PAGE_HEADERS, **credentials.headers})
                page = answer.body.decode(errors="replace")
            return parse_page(page, self._clock_ns())

        page = await self._guarded(url, ask)
        if not page.series:
            why = f": {'; '.join(page.unresolved)}" if page.unresolved else ""
            raise SeriesUnknown(f"{urlsplit(url).path} lists no series of options{why}")
        return Listing(page.series, page.unresolved)

    async def chain(self, listed: ListedSeries) -> Answer:
        """Return the answer to a series."""
        params = {
            "symbol": listed.series.vendor_series,
            "list": "futures.options",
            "fields": _CHAIN_FIELDS,
            "meta": _META,
            "groupBy": "optionType",
            "orderBy": "strike",
            "orderDir": "asc",
            "raw": "1",
        }
        return await self._ask(listed, params, check_json)

    async def underlying_price(self, listed: ListedSeries) -> UnderlyingPrice | None:
        """Return the price of the future of a series' page."""
        future = listed.path.split("/")[3]
        params = {"symbols": future, "fields": "symbol,lastPrice,tradeTime", "raw": "1"}
        answer = await self._ask(listed, params, check_json)
        try:
            return parse_quote(answer.body, future)
        except BadData as error:
            log.warning("no price of the future", future=future, reason=str(error))
            return None

    async def close(self) -> None:
        """Leave the site."""
        await self._authentication.close()
        await self._client.close()

    async def _ask(self, listed: ListedSeries, params: dict[str, str], check: Check) -> Answer:
        page_url = f"{self._settings.site}{listed.path}?futuresOptionsView=merged"

        async def ask(credentials: Credentials) -> Answer:
            headers = {**API_HEADERS, "Referer": page_url, **credentials.headers}
            return await self._client.get(f"{self._settings.site}{CORE_API}", check, params=params, headers=headers)

        return await self._guarded(page_url, ask)

    async def _guarded(self, page_url: str, ask: Callable[[Credentials], Awaitable[T]]) -> T:
        return await self._guard.run(lambda: self._let_in(page_url, ask))

    async def _let_in(self, page_url: str, ask: Callable[[Credentials], Awaitable[T]]) -> T:
        try:
            return await ask(await self._begun(page_url))
        except (SessionInvalid, Challenged) as error:
            log.info("renewing the session", reason=str(error))
            self._credentials = None
        try:
            return await ask(await self._begun(page_url))
        except (SessionInvalid, Challenged):
            self._credentials = None
            raise

    async def _begun(self, page_url: str) -> Credentials:
        if self._credentials is None:
            begun = await self._authentication.begin(page_url)
            self._page = (page_url, begun.page)
            self._client.adopt(begun, page_url)
            self._credentials = begun
        return self._credentials
