"""Which NQ options are listed: strikes, numbers, definitions, and what the clearing house says of yesterday."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from zlib import crc32

import numpy as np

from tapeline_simulator import definitions
from tapeline_simulator.capture import Capture
from tapeline_simulator.definitions import Leg
from tapeline_simulator.expiries import Future, Series
from tapeline_simulator.listings import Listing, Listings
from tapeline_simulator.market import instrument_id
from tapeline_simulator.option_quotes import Contract, never_quotes
from tapeline_simulator.option_rows import NICKEL_E9, on_tick_below
from tapeline_simulator.reference_records import (
    LATENCY_NS,
    Yesterday,
    records_of,
    statistics_of_yesterday,
)
from tapeline_simulator.surface import Floats, at_the_money_volatility, option_values

_YEAR_NS: Final = 365 * 86_400 * 10**9
_DAY_NS: Final = 86_400 * 10**9
_STEPS_POINTS: Final = ((25, 250), (50, 1_000), (100, 5_000))
"""Distance between strikes, and how far from the money it holds."""
_LEAST_REACH_POINTS: Final = 1_200
_REACH_DEVIATIONS: Final = 3.0
_BASE_OPEN_INTEREST: Final = 4_000
_SPREAD_WEIGHT: Final = 0.5


@dataclass(frozen=True, slots=True)
class Underlying:
    """A future that options are on: its position among the futures, its number, and yesterday's settlement."""

    future: Future
    position: int
    instrument_id: int
    settlement_points: float


@dataclass(frozen=True, slots=True)
class ListedContract:
    """An option that is listed, and what the clearing house said of it; `yesterday` is None where it is new."""

    instrument_id: int
    strike_points: int
    is_call: bool
    yesterday: Yesterday | None


class InstrumentIds:
    """Gives every symbol a number of its own, the same in every run in which the same are asked for before it."""

    def __init__(self) -> None:
        self._taken: set[int] = set()

    def take(self, symbol: str) -> int:
        """Return the number of `symbol`: its checksum, or the next number that is free."""
        number = instrument_id(symbol)
        while number in self._taken:
            number = (number + 1) & 0x7FFF_FFFF
        self._taken.add(number)
        return number


class OptionBoard:
    """Lists options on the futures of `underlyings` and captures what the venue sends about them.

    `take_up` is told the contracts that will be quoted.
    """

    def __init__(
        self,
        underlyings: Sequence[Underlying],
        numbers: InstrumentIds,
        listings: Listings,
        capture: Capture,
        take_up: Callable[[Sequence[Contract]], None],
    ) -> None:
        self._underlyings = {each.future.symbol: each for each in underlyings}
        self._numbers = numbers
        self._listings = listings
        self._capture = capture
        self._take_up = take_up
        self._listed: dict[Series, dict[tuple[int, bool], Listing]] = {}
        self._yesterday: dict[int, Yesterday] = {}

    @property
    def series(self) -> list[Series]:
        """The series that were ever listed, in the order of their listing."""
        return list(self._listed)

    def instrument_ids(self, series: Series) -> list[int]:
        """Return the numbers of all contracts of a series."""
        return [listing.instrument_id for listing in self._listed[series].values()]

    def contracts(self, series: Series) -> list[ListedContract]:
        """Return the calls and puts of a series in the order of their listing."""
        return [
            ListedContract(listing.instrument_id, strike, is_call, self._yesterday.get(listing.instrument_id))
            for (strike, is_call), listing in self._listed[series].items()
        ]

    def instrument_ids_on(self, underlying: str, at_ns: int) -> list[int]:
        """Return the numbers of all contracts on a future that have not expired at `at_ns`."""
        alive = [each for each in self._listed if each.underlying == underlying and each.expires_ns > at_ns]
        return [number for series in alive for number in self.instrument_ids(series)]

    def has_underlying(self, series: Series) -> bool:
        """Return whether the future that the series is on trades here."""
        return series.underlying in self._underlyings

    def list_series(self, series: Series, at_ns: int) -> list[int]:
        """List a chain with strikes around yesterday's settlement; return the numbers of its contracts."""
        settled = self._underlyings[series.underlying].settlement_points
        self._listed[series] = {}
        strikes = strikes_around(settled, (series.expires_ns - at_ns) / _YEAR_NS)
        return self._list(series, strikes, at_ns, is_new=False)

    def list_strike_above(self, series: Series, at_ns: int) -> list[int]:
        """List a call and a put at a strike above all others, as a venue does when the market moves."""
        step, _ = _STEPS_POINTS[-1]
        highest = max(strike for strike, _ in self._listed[series])
        return self._list(series, [highest + step], at_ns, is_new=True)

    def list_user_defined(self, series: Series, at_ns: int) -> None:
        """List spreads that traders made: a vertical of calls, which is quoted too, a straddle, and a covered call."""
        underlying = self._underlyings[series.underlying]
        listed = self._listed[series]
        strikes = sorted({strike for strike, _ in listed})
        middle = len(strikes) // 2
        call, higher = listed[strikes[middle], True], listed[strikes[middle + 1], True]
        put = listed[strikes[middle], False]
        (future,) = self._listings.resolve("raw_symbol", series.underlying, at_ns)
        records = []
        for kind, legs in (
            ("VT", [Leg(call, is_bought=True), Leg(higher, is_bought=False)]),
            ("ST", [Leg(call, is_bought=True), Leg(put, is_bought=True)]),
            ("CO", [Leg(call, is_bought=True), Leg(future, is_bought=False)]),
        ):
            symbol = f"UD:1V: {kind} {2_800_000 + crc32(f'{kind} {series.code}'.encode()) % 100_000}"
            listing, data = definitions.user_defined(
                symbol,
                legs,
                series,
                self._numbers.take(symbol),
                underlying.instrument_id,
                at_ns=at_ns,
                latency_ns=LATENCY_NS,
            )
            self._listings.add(listing)
            records.append(data)
            if kind == "VT":
                long, short = strikes[middle : middle + 2]
                vertical = Contract(
                    listing.instrument_id,
                    long,
                    True,
                    series.expires_ns,
                    underlying.position,
                    _SPREAD_WEIGHT,
                    short_strike_points=short,
                )
                self._take_up([vertical])
        self._capture.put("definition", 0, records_of("definition", b"".join(records)))

    def _list(self, series: Series, strikes: Sequence[int], at_ns: int, *, is_new: bool) -> list[int]:
        underlying = self._underlyings[series.underlying]
        rights = [(strike, is_call) for strike in strikes for is_call in (True, False)]
        weights = _weights(underlying.settlement_points, rights, (series.expires_ns - at_ns) / _YEAR_NS)
        records, contracts, numbers = [], [], []
        for (strike, is_call), weight in zip(rights, weights.tolist(), strict=True):
            symbol = definitions.option_symbol(series, strike, is_call)
            number = self._numbers.take(symbol)
            listing, data = definitions.option(
                series,
                strike,
                is_call,
                number,
                underlying.instrument_id,
                at_ns=at_ns,
                latency_ns=LATENCY_NS,
                activation_ns=at_ns if is_new else None,
            )
            self._listings.add(listing)
            self._listed[series][strike, is_call] = listing
            records.append(data)
            numbers.append(number)
            if not never_quotes(symbol, strike, underlying.settlement_points):
                contracts.append(Contract(number, strike, is_call, series.expires_ns, underlying.position, weight))
        self._capture.put("definition", 0, records_of("definition", b"".join(records)))
        if not is_new:
            settled = underlying.settlement_points
            yesterday = _yesterday(settled, rights, weights, numbers, series.expires_ns, at_ns)
            self._yesterday.update({each.instrument_id: each for each in yesterday})
            self._capture.put("statistics", 0, statistics_of_yesterday(yesterday, day_before(at_ns), at_ns))
        self._take_up(contracts)
        return numbers


def day_before(at_ns: int) -> int:
    """Return the beginning (ns) of the UTC day before that of `at_ns`."""
    return at_ns // _DAY_NS * _DAY_NS - _DAY_NS


def strikes_around(future_points: float, years: float) -> list[int]:
    """Return the strikes (points, ascending) of a chain: dense at the money, and wider the longer it lives."""
    money = round(future_points / 100) * 100
    deviation = future_points * float(at_the_money_volatility(np.array(years))) * years**0.5
    reach = max(_LEAST_REACH_POINTS, _REACH_DEVIATIONS * deviation)
    distances, nearer = {0}, 0
    for step, until in _STEPS_POINTS:
        distances |= set(range(nearer + step, int(min(until, reach)) + 1, step))
        nearer = until
    return sorted({money + sign * distance for sign in (-1, 1) for distance in distances})


def _weights(future_points: float, rights: Sequence[tuple[int, bool]], years: float) -> Floats:
    """Return how active contracts are: most near the money, out of it more than in it, and the sooner they expire."""
    strikes = np.array([strike for strike, _ in rights], dtype=np.float64)
    is_call = np.array([right for _, right in rights])
    deviation = at_the_money_volatility(np.array(years)) * years**0.5
    distance = np.log(strikes / future_points) / deviation
    is_out = (distance >= 0) == is_call
    weights: Floats = (np.exp(-distance * distance / 2) * np.where(is_out, 1.0, 0.4) + 0.02) / np.sqrt(years * 52 + 0.3)
    return weights


def _yesterday(
    future_points: float,
    rights: Sequence[tuple[int, bool]],
    weights: Floats,
    instrument_ids: Sequence[int],
    expires_ns: int,
    at_ns: int,
) -> list[Yesterday]:
    count = len(rights)
    strikes = np.array([strike for strike, _ in rights], dtype=np.float64)
    is_call = np.array([right for _, right in rights])
    years = np.full(count, (expires_ns - at_ns) / _YEAR_NS)
    values, _ = option_values(np.full(count, future_points), strikes, years, is_call)
    settlements = np.maximum(on_tick_below(values), 1) * NICKEL_E9
    interest = (_BASE_OPEN_INTEREST * weights * [_fraction(number) for number in instrument_ids]).astype(np.int64)
    return [
        Yesterday(number, settlement, held, held // 8)
        for number, settlement, held in zip(instrument_ids, settlements.tolist(), interest.tolist(), strict=True)
    ]


def _fraction(number: int) -> float:
    return crc32(str(number).encode()) / 2**32
