"""Option chains that were captured from the vendor, as a market that stands still: files of a folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from tapeline.errors import BadData, Misconfigured
from tapeline_simulator.barchart.market import FutureRow, ListedSeries, OptionRow, Quote
from tapeline_simulator.barchart.symbols import chicago, vendor_future, vendor_series
from tapeline_simulator.expiries import Future, Series, future_of, next_series

_DAY_NS: Final = 86_400 * 10**9
_LOOKED_BACK_NS: Final = 7 * _DAY_NS
_LISTED: Final = 40
_PARITY_PAIRS: Final = 15
_NOTHING: Final = "N/A"


class CapturedMarket:
    """The chains of the JSON files of `folder`, of each series the last by name; files of other things are left.

    The future's price is not in them: it is where calls and puts of the tightest quotes are in parity. Raises
    Misconfigured where there is no chain.
    """

    def __init__(self, folder: Path) -> None:
        self._rows: dict[str, list[OptionRow]] = {}
        self._series: dict[str, Series] = {}
        self._seen_ns = 0
        for path in sorted(folder.glob("*.json")):
            self._load(path)
        if not self._rows:
            raise Misconfigured(f"{folder}: must hold captured option chains as JSON, has none")

    @property
    def at_ns(self) -> int:
        """The newest trade of all chains (ns since the epoch)."""
        return self._seen_ns

    @property
    def series(self) -> Sequence[ListedSeries]:
        """What the files hold, by expiry, whether it has expired or not."""
        listed = sorted(self._series.items(), key=lambda item: item[1])
        return [ListedSeries(name, self._future(series), series.expires_ns) for name, series in listed]

    @property
    def futures(self) -> Sequence[FutureRow]:
        """The futures that the series are on."""
        prices: dict[Future, Decimal | None] = {}
        for name, series in sorted(self._series.items(), key=lambda item: item[1]):
            future = future_of(series.underlying, self._seen_ns - _LOOKED_BACK_NS)
            prices[future] = prices.get(future) or _parity(self._rows[name])
        return [self._row(future, price) for future, price in prices.items()]

    def view(self) -> CapturedMarket:
        """Return itself: it stands still."""
        return self

    def rows(self, series: str) -> list[OptionRow]:
        """Return the rows of a series as they were captured; none of a series that is not there."""
        return list(self._rows.get(series, ()))

    def _future(self, series: Series) -> str:
        return vendor_future(future_of(series.underlying, self._seen_ns - _LOOKED_BACK_NS))

    def _row(self, future: Future, price: Decimal | None) -> FutureRow:
        traded, month = chicago(self._seen_ns), chicago(future.expires_ns)
        quote = Quote(last=price, trade_time=f"{traded:%H:%M} CT", traded_s=self._seen_ns // 10**9)
        return FutureRow(vendor_future(future), f"Nasdaq 100 E-Mini {month:%b} '{month:%y}", future.expires_ns, quote)

    def _load(self, path: Path) -> None:
        document = json.loads(path.read_bytes(), parse_float=Decimal, parse_int=Decimal)
        chain = document.get("data", {})
        if isinstance(chain, dict) and "data" in chain:
            chain = chain["data"]
        if not isinstance(chain, dict) or not chain:
            return
        rows = [_row(row) for group in chain.values() for row in group]
        at_s = max((row.quote.traded_s for row in rows if row.quote.traded_s), default=0)
        series = _series_of(rows[0].symbol.partition("|")[0], at_s * 10**9, path)
        self._rows[vendor_series(series)] = rows
        self._series[vendor_series(series)] = series
        self._seen_ns = max(self._seen_ns, at_s * 10**9)


def _series_of(name: str, at_ns: int, path: Path) -> Series:
    """Return the series that a row's name (``MM7M5``) means at about `at_ns`."""
    listed = next_series(at_ns - _LOOKED_BACK_NS, _LISTED)
    for series in listed:
        long = vendor_series(series)
        if long[:-2] + long[-1] == name:
            return series
    raise BadData(
        str(path), f"holds {name!r}, which expires neither within {_LISTED} expiries after its trades nor now"
    )


def _row(document: dict[str, Any]) -> OptionRow:
    raw = document["raw"]
    quote = Quote(
        open=_price(document, "openPrice"),
        high=_price(document, "highPrice"),
        low=_price(document, "lowPrice"),
        last=_price(document, "lastPrice"),
        is_settlement=document["lastPrice"].endswith("s"),
        change=None if document["priceChange"] == _NOTHING else Decimal(raw["priceChange"]),
        bid=_price(document, "bidPrice"),
        ask=_price(document, "askPrice"),
        volume=_whole(raw["volume"]),
        open_interest=_whole(raw["openInterest"]),
        trade_time=None if document["tradeTime"] == _NOTHING else document["tradeTime"],
        traded_s=_whole(raw["tradeTime"]),
    )
    return OptionRow(document["symbol"], int(raw["strike"]), document["optionType"] == "Call", quote)


def _price(document: dict[str, Any], field: str) -> Decimal | None:
    return None if document[field] == _NOTHING else Decimal(document["raw"][field])


def _whole(value: Decimal | None) -> int | None:
    return None if value is None else int(value)


def _parity(rows: Sequence[OptionRow]) -> Decimal | None:
    """Return call less put plus strike, the median of the pairs with the tightest quotes; None without such pairs."""
    sides: dict[tuple[int, bool], Quote] = {(row.strike_points, row.is_call): row.quote for row in rows}
    pairs = []
    for (strike, is_call), call in sides.items():
        put = sides.get((strike, False))
        if is_call and put is not None and None not in (call.bid, call.ask, put.bid, put.ask):
            (call_middle, call_width), (put_middle, put_width) = _middle(call), _middle(put)
            pairs.append((call_width + put_width, call_middle - put_middle + strike))
    tightest = sorted(value for _, value in sorted(pairs)[:_PARITY_PAIRS])
    return tightest[len(tightest) // 2].quantize(Decimal("0.01")) if tightest else None


def _middle(quote: Quote) -> tuple[Decimal, Decimal]:
    bid, ask = quote.bid or Decimal(0), quote.ask or Decimal(0)
    return (bid + ask) / 2, ask - bid
