"""Barchart OnDemand, the licensed API: a key instead of a session, one call for a series and one for the list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from tapeline.errors import BadData
from tapeline.feed.barchart.expiries import chicago_day
from tapeline.feed.barchart.on_demand import parse_on_demand_quote
from tapeline.feed.barchart.on_demand_records import records_in
from tapeline.feed.barchart.page import ListedSeries
from tapeline.feed.barchart.series import series_from_code
from tapeline.model.chains import UnderlyingPrice
from tapeline.ops.logs import get_logger
from tapeline_barchart.client import HttpClient
from tapeline_barchart.errors import SeriesUnknown
from tapeline_barchart.guard import Guard
from tapeline_barchart.kept import AnswerForm
from tapeline_barchart.limits import CallLimit
from tapeline_barchart.names import vendor_future
from tapeline_barchart.normalize import MOST_RECORDS
from tapeline_barchart.replies import Answer, check_on_demand
from tapeline_barchart.settings import BarchartSettings
from tapeline_barchart.vendor import Asked, Listing

_FIELDS: Final = "bid,ask,volume,openInterest,previousClose,premium,impliedVolatility,delta,gamma,theta,vega"
_QUOTE_FIELDS: Final = "lastPrice,tradeTimestamp,settlement"

log = get_logger("barchart.on_demand")


class OnDemand:
    """A `Vendor`: the licensed API. `limit` counts its calls. Make it in the event loop."""

    def __init__(self, settings: BarchartSettings, limit: CallLimit, clock_ns: Callable[[], int]) -> None:
        self._settings = settings
        self._limit = limit
        self._clock_ns = clock_ns
        self._client = HttpClient(settings, limit.take, clock_ns)
        self._guard = Guard(settings, limit, clock_ns)

    @property
    def form(self) -> AnswerForm:
        """The vendor's envelope."""
        return "on-demand"

    @property
    def asked(self) -> Asked:
        """What was asked so far."""
        return Asked(self._limit.calls, self._client.bytes)

    async def listing(self, product: str) -> Listing:
        """Return the series of a product's contracts. Raises SeriesUnknown where there are none."""
        answer = await self._get("getFuturesOptions", {"root": product, "maxRecords": str(MOST_RECORDS)})
        days: dict[str, str] = {}
        for record in records_in(answer.body):
            days.setdefault(record.text("contract"), record.text("expirationDate")[:10])
        listed, unresolved = [], []
        for name, day in days.items():
            try:
                listed.append(_listed(name, day, answer.received_ns))
            except BadData as error:
                unresolved.append(f"{name} ({day}): {error}")
        if not listed:
            raise SeriesUnknown(f"OnDemand lists no series of {product}: {'; '.join(unresolved)}")
        return Listing(tuple(listed), tuple(unresolved))

    async def chain(self, listed: ListedSeries) -> Answer:
        """Return the answer to a series."""
        params = {"contract": listed.series.vendor_series, "fields": _FIELDS, "maxRecords": str(MOST_RECORDS)}
        return await self._get("getFuturesOptions", params)

    async def underlying_price(self, listed: ListedSeries) -> UnderlyingPrice | None:
        """Return the price of a series' future."""
        future = vendor_future(listed.series.underlying, listed.series.expiry)
        answer = await self._get("getQuote", {"symbols": future, "fields": _QUOTE_FIELDS})
        try:
            return parse_on_demand_quote(answer.body, future)
        except BadData as error:
            log.warning("no price of the future", future=future, reason=str(error))
            return None

    async def close(self) -> None:
        """Leave the API."""
        await self._client.close()

    async def _get(self, method: str, params: dict[str, str]) -> Answer:
        url = f"{self._settings.on_demand}/{method}.json"
        keyed = {"apikey": self._settings.on_demand_key.get_secret_value(), **params}
        return await self._guard.run(lambda: self._client.get(url, check_on_demand, params=keyed))


def _listed(name: str, day: str, at_ns: int) -> ListedSeries:
    """Return a series whose name and whose day of expiry, which the vendor tells, say the same. Raises BadData."""
    series = series_from_code(name, at_ns)
    expected = str(chicago_day(series.expiry))
    if day != expected:
        raise BadData("expirationDate", f"must be {expected} by the name, is {day}", "the names may have changed")
    return ListedSeries(replace(series, is_from_page=True), f"/getFuturesOptions/{series.vendor_series}")
