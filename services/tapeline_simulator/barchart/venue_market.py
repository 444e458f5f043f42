"""The market of the Databento simulator as Barchart shows it, so that both vendors tell of one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property
from typing import Final
from zlib import crc32

from tapeline.feed.calendar import cme_globex_equity
from tapeline.model.columns import INT64_MAX
from tapeline_simulator.barchart.market import FutureRow, ListedSeries, OptionRow, Quote
from tapeline_simulator.barchart.symbols import CHICAGO, chicago, contract_symbol, vendor_future, vendor_series
from tapeline_simulator.book_rows import SessionTrades
from tapeline_simulator.expiries import Series
from tapeline_simulator.reference_records import Yesterday
from tapeline_simulator.venue import Venue
from tapeline_simulator.venue_view import ContractView, FutureView, VenueView

_TICK: Final = Decimal("0.05")
_COARSE_TICK: Final = Decimal("0.25")
_FINE_UP_TO: Final = Decimal(5)
_SETTLED_AT_S: Final = 15 * 3_600
"""Of the day in Chicago."""
_NO_DATA: Final = Quote()


class VenueMarket:
    """What `venue` shows, with Barchart's names and habits."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue

    def view(self) -> VenueMarketView:
        """Return what the venue shows now."""
        return VenueMarketView(self._venue.view())


class VenueMarketView:
    """One moment of a venue; rows are made when they are asked for."""

    def __init__(self, venue: VenueView) -> None:
        self._venue = venue
        self._settled = _settled_day(venue.at_ns)

    @property
    def at_ns(self) -> int:
        """The moment (ns since the epoch)."""
        return self._venue.at_ns

    @cached_property
    def series(self) -> Sequence[ListedSeries]:
        """What is listed and has not expired, by expiry."""
        alive = sorted(each for each in self._venue.series if each.expires_ns > self.at_ns)
        return [
            ListedSeries(vendor_series(each), self._future_names[each.underlying], each.expires_ns) for each in alive
        ]

    @cached_property
    def futures(self) -> Sequence[FutureRow]:
        """The futures, nearest first."""
        return [self._future(each) for each in self._venue.futures]

    def rows(self, series: str) -> list[OptionRow]:
        """Return the calls, then the puts of a series, by strike; none of a series that is not known."""
        known: dict[str, Series] = {vendor_series(each): each for each in self._venue.series}
        if series not in known:
            return []
        contracts = sorted(
            self._venue.contracts(known[series]), key=lambda each: (not each.is_call, each.strike_points)
        )
        is_over = known[series].expires_ns <= self.at_ns
        return [
            OptionRow(
                contract_symbol(series, each.strike_points, each.is_call),
                each.strike_points,
                each.is_call,
                # The vendor shows no `s` behind the settlement of the first row of a chain.
                _quote(each, self._settled, is_over=is_over, is_marked=position > 0),
            )
            for position, each in enumerate(contracts)
        ]

    @cached_property
    def _future_names(self) -> dict[str, str]:
        return {each.future.symbol: vendor_future(each.future) for each in self._venue.futures}

    def _future(self, view: FutureView) -> FutureRow:
        month = chicago(view.future.expires_ns)
        return FutureRow(
            symbol=vendor_future(view.future),
            name=f"Nasdaq 100 E-Mini {month:%b} '{month:%y}",
            expires_ns=view.future.expires_ns,
            quote=_traded_or_settled(
                _number(view.future.symbol),
                view.session,
                view.yesterday,
                self._settled,
                bid=None if view.bid_e9 == INT64_MAX else _points(view.bid_e9),
                ask=None if view.ask_e9 == INT64_MAX else _points(view.ask_e9),
            ),
        )


def _quote(contract: ContractView, settled: date, *, is_over: bool, is_marked: bool) -> Quote:
    bid = _points(contract.bid_e9) if contract.bid_e9 and not is_over else None
    ask = _points(contract.ask_e9) if contract.ask_e9 and not is_over else None
    return _traded_or_settled(
        contract.instrument_id, contract.session, contract.yesterday, settled, bid=bid, ask=ask, is_marked=is_marked
    )


def _traded_or_settled(
    number: int,
    session: SessionTrades,
    yesterday: Yesterday | None,
    settled: date,
    *,
    bid: Decimal | None,
    ask: Decimal | None,
    is_marked: bool = True,
) -> Quote:
    """Return what is shown: today's trades where there are any, else the settlement with the volume of its day."""
    settlement = _points(yesterday.settlement_e9) if yesterday is not None else None
    interest = (yesterday.open_interest or None) if yesterday is not None else None
    if session.volume:
        last = _points(session.last_e9)
        return Quote(
            open=_points(session.open_e9),
            high=_points(session.high_e9),
            low=_points(session.low_e9),
            last=last,
            change=None if settlement is None else last - settlement,
            bid=bid,
            ask=ask,
            volume=session.volume,
            open_interest=interest,
            trade_time=f"{chicago(session.traded_ns):%H:%M} CT",
            traded_s=session.traded_ns // 10**9,
        )
    if yesterday is None or settlement is None:
        return Quote(bid=bid, ask=ask) if bid is not None or ask is not None else _NO_DATA
    first = _on_tick(settlement * (1 + _share(number, "open") / 10)) if yesterday.cleared_volume else None
    return Quote(
        open=first,
        high=settlement if first is None else max(first, settlement),
        low=settlement if first is None else min(first, settlement),
        last=settlement,
        is_settlement=is_marked,
        change=settlement - _on_tick(settlement * (1 + _share(number, "before") / 10)),
        bid=bid,
        ask=ask,
        volume=yesterday.cleared_volume or None,
        open_interest=interest,
        trade_time=f"{settled:%m/%d/%y}",
        traded_s=_day_as_seconds(settled, number),
    )


def _day_as_seconds(day: date, number: int) -> int:
    """Return the number that the vendor gives for a day: mostly its midnight in UTC, or in Chicago, or a moment."""
    kind = number % 20
    if kind == 0:
        return int(datetime(day.year, day.month, day.day, tzinfo=CHICAGO).timestamp()) + _SETTLED_AT_S - number % 3_600
    if kind == 1:
        return int(datetime(day.year, day.month, day.day, tzinfo=CHICAGO).timestamp())
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _settled_day(at_ns: int) -> date:
    """Return the trading day whose settlement is the last at `at_ns`: that of the session that closed last."""
    calendar = cme_globex_equity()
    return date.fromisoformat(calendar.trading_day(calendar.last_close(at_ns) - 1))


def _on_tick(points: Decimal) -> Decimal:
    tick = _TICK if points <= _FINE_UP_TO else _COARSE_TICK
    return max(points // tick * tick, _TICK)


def _share(number: int, what: str) -> Decimal:
    """Return a number between -1 and 1, always the same for the same."""
    return Decimal(crc32(f"{what} {number}".encode())) / 2**31 - 1


def _number(symbol: str) -> int:
    return crc32(symbol.encode())


def _points(price_e9: int) -> Decimal:
    return Decimal(price_e9).scaleb(-9)
