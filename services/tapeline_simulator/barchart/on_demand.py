"""OnDemand, the licensed API: ``getFuturesOptions.json`` and ``getQuote.json``, in their envelope. Pure.

Fields as the vendor's client library names them. Whether it has bid and ask of options, and the letters of `mode` and
`flag`, is not known; here it has them where they are asked for, `mode` is ``d`` for delayed, `flag` ``s`` for settled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from tapeline_simulator.barchart.answers import Answer, document
from tapeline_simulator.barchart.distortions import distort, rows_under, view_under
from tapeline_simulator.barchart.faults import SiteFault
from tapeline_simulator.barchart.formats import number
from tapeline_simulator.barchart.market import POINT_VALUE, FutureRow, ListedSeries, MarketView, OptionRow
from tapeline_simulator.barchart.payload import Document
from tapeline_simulator.barchart.symbols import chicago, short

PREFIX: Final = "/ondemand"
DEFAULT_RECORDS: Final = 20
_EXCHANGE: Final = "CME"
_OPTIONAL: Final = ("bid", "ask", "volume", "openInterest", "previousClose", "premium")


def envelope(code: int, message: str, results: Sequence[Document] | None = None) -> Answer:
    """Return an answer in the envelope; errors come in it too."""
    return document({"status": {"code": code, "message": message}, "results": results}, status=200 if results else code)


def options(query: Mapping[str, str], now: MarketView, fault: SiteFault | None) -> Answer:
    """Answer ``getFuturesOptions``: the contracts of `contract` (a series) or of all that are on the `root`'s futures.

    `type` is Call or Put, `symbols` are contracts; without `maxRecords` there are DEFAULT_RECORDS.
    """
    view = view_under(fault, now)
    wanted = [each for each in view.series if _is_wanted(each, query)]
    symbols, right = _names(query.get("symbols", "")), query.get("type", "")
    extra = [name for name in _names(query.get("fields", "")) if name in _OPTIONAL]
    results = [
        _option(series, row, extra, view)
        for series in wanted
        for row in rows_under(fault, view, series.symbol)
        if (not symbols or row.symbol in symbols) and (not right or right.startswith("Call" if row.is_call else "Put"))
    ]
    return _results(distort(fault, {"data": results}, len(results))["data"], query)


def quotes(query: Mapping[str, str], now: MarketView, fault: SiteFault | None) -> Answer:
    """Answer ``getQuote`` about the futures of `symbols`, by their names with one or two digits for the year."""
    view = view_under(fault, now)
    symbols = _names(query.get("symbols", ""))
    futures = [each for each in view.futures if each.symbol in symbols or short(each.symbol) in symbols]
    return _results([_quote(each, view.at_ns) for each in futures], query)


def _results(results: Sequence[Document], query: Mapping[str, str]) -> Answer:
    if not results:
        return document({"status": {"code": 204, "message": "Success, but no content to return."}, "results": None})
    most = query.get("maxRecords", "")
    return envelope(200, "Success.", results[: int(most) if most.isdecimal() else DEFAULT_RECORDS])


def _is_wanted(series: ListedSeries, query: Mapping[str, str]) -> bool:
    contract, root = query.get("contract", ""), query.get("root", "")
    if contract:
        return contract in (series.symbol, short(series.symbol))
    return series.future.startswith(root) if root else bool(query.get("symbols"))


def _option(series: ListedSeries, row: OptionRow, extra: Sequence[str], view: MarketView) -> Document:
    quote, expires = row.quote, chicago(series.expires_ns)
    settled = _before(row)
    optional: dict[str, Any] = {
        "bid": _json(quote.bid),
        "ask": _json(quote.ask),
        "volume": quote.volume,
        "openInterest": quote.open_interest,
        "previousClose": _json(settled),
        "premium": None if quote.last is None else number(quote.last * POINT_VALUE),
    }
    return {
        "symbol": row.symbol,
        "root": series.symbol[:-3],
        "contract": series.symbol,
        "contractName": f"E-Mini Nasdaq 100 {expires:%b} {expires:%Y}",
        "contractMonth": series.symbol[-3],
        "exchange": _EXCHANGE,
        "type": "Call" if row.is_call else "Put",
        "strike": row.strike_points,
        "expirationDate": f"{expires:%Y-%m-%d}",
        "date": f"{chicago(view.at_ns):%Y-%m-%d}",
        "open": None if quote.open is None else f"{quote.open:.2f}",
        "high": _json(quote.high),
        "low": _json(quote.low),
        "last": _json(quote.last),
        "close": _json(quote.last) if quote.is_settlement else None,
        "change": _json(quote.change),
        "percentChange": _percent(quote.change, settled),
        **{name: optional[name] for name in extra},
    }


def _quote(future: FutureRow, at_ns: int) -> Document:
    quote = future.quote
    return {
        "symbol": short(future.symbol),
        "exchange": _EXCHANGE,
        "name": future.name,
        "dayCode": chr(ord("A") + chicago(at_ns).day - 1),
        "serverTimestamp": _timestamp(at_ns // 10**9),
        "mode": "d",
        "lastPrice": _json(quote.last),
        "tradeTimestamp": None if quote.traded_s is None else _timestamp(quote.traded_s),
        "netChange": _json(quote.change),
        "percentChange": _percent(quote.change, _before(future)),
        "unitCode": "2",
        "open": _json(quote.open),
        "high": _json(quote.high),
        "low": _json(quote.low),
        "bid": _json(quote.bid),
        "ask": _json(quote.ask),
        "flag": "s" if quote.is_settlement else "",
        "volume": quote.volume,
        "openInterest": quote.open_interest,
        "settlement": _json(quote.last) if quote.is_settlement else None,
    }


def _before(row: OptionRow | FutureRow) -> Decimal | None:
    quote = row.quote
    return None if quote.last is None or quote.change is None else quote.last - quote.change


def _json(value: Decimal | None) -> int | float | None:
    return None if value is None else number(value)


def _percent(change: Decimal | None, before: Decimal | None) -> float | None:
    return None if change is None or not before else round(float(change / before * 100), 2)


def _timestamp(at_s: int) -> str:
    return chicago(at_s * 10**9).isoformat()


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]
