"""Which instruments the symbols of a request mean, mapped day by day as the Historical API does. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
from databento_dbn.metadata import MappingInterval

from tapeline_simulator.databento.history.query import SymbolQuery
from tapeline_simulator.databento.history.refusals import nothing_resolved
from tapeline_simulator.databento.history.times import DAY_NS, begin_of, days
from tapeline_simulator.listings import ALL_SYMBOLS, Listing, Listings

InstrumentIds = npt.NDArray[np.uint32]


@dataclass(slots=True)
class Interval:
    """`symbol` is what a name means on the days [start_date, end_date)."""

    start_date: date
    end_date: date
    symbol: str


@dataclass(slots=True)
class NameMapping:
    """All intervals of one name, as databento_dbn.Metadata takes it."""

    raw_symbol: str
    intervals: Sequence[MappingInterval]


@dataclass(frozen=True, slots=True)
class Resolution:
    """What the symbols of a query mean on the days [first, end).

    `intervals` has the names that the API answers with: the symbols themselves, or for parents and ALL_SYMBOLS the raw
    symbols that they stand for. `partial` are names that mean nothing on some of the days, `not_found` symbols that
    mean nothing at all. `ids` are the instrument ids per day, None where they are all.
    """

    first: date
    end: date
    intervals: Mapping[str, list[Interval]]
    partial: list[str]
    not_found: list[str]
    ids: Mapping[date, frozenset[int]] | None

    def spans(self, start_ns: int, end_ns: int) -> Iterator[tuple[int, int, InstrumentIds | None]]:
        """Yield (from, until, instrument ids) that cover [start_ns, end_ns): ids are unique only within a day."""
        if self.ids is None:
            yield start_ns, end_ns, None
            return
        from_ns, before = start_ns, self.ids[self.first]
        for day, ids in self.ids.items():
            if ids != before:
                yield from_ns, begin_of(day), _array(before)
                from_ns, before = begin_of(day), ids
        yield from_ns, end_ns, _array(before)


def _array(ids: frozenset[int]) -> InstrumentIds:
    return np.array(sorted(ids), dtype=np.uint32)


def resolve(listings: Listings, query: SymbolQuery, first: date, end: date) -> Resolution:
    """Resolve the symbols of a query on the days [first, end)."""
    intervals: dict[str, list[Interval]] = {}
    ids: dict[date, set[int]] = {day: set() for day in days(first, end)}
    not_found = []
    for symbol in query.symbols:
        found = False
        for day, ids_of_day in ids.items():
            for listing in _listed(listings, query.stype_in, symbol, day):
                found = True
                ids_of_day.add(listing.instrument_id)
                _extend(intervals, _name(query, symbol, listing), day, _value(query, listing))
        if not found:
            not_found.append(symbol)
    partial = [name for name, its in intervals.items() if _days(its) < (end - first).days]
    everything = ALL_SYMBOLS in query.symbols
    return Resolution(
        first,
        end,
        intervals,
        partial,
        not_found,
        None if everything else {day: frozenset(its) for day, its in ids.items()},
    )


def resolve_some(listings: Listings, query: SymbolQuery, first: date, end: date) -> Resolution:
    """Resolve as `resolve`, raising the API's Refusal where nothing at all is found."""
    resolution = resolve(listings, query, first, end)
    if not resolution.intervals and ALL_SYMBOLS not in query.symbols:
        raise nothing_resolved(query.stype_in, query.symbols)
    return resolution


def _listed(listings: Listings, stype_in: str, symbol: str, day: date) -> list[Listing]:
    """Return what is listed at the day's beginning or, listed in its course, at its end."""
    begin_ns = begin_of(day)
    listed = listings.resolve(stype_in, symbol, begin_ns)
    later = listings.resolve(stype_in, symbol, begin_ns + DAY_NS - 1)
    if symbol != ALL_SYMBOLS and stype_in != "parent":
        return listed[:1] or later[:1]
    return list({(listing.instrument_id, listing.raw_symbol): listing for listing in (*listed, *later)}.values())


def _name(query: SymbolQuery, symbol: str, listing: Listing) -> str:
    return listing.raw_symbol if symbol == ALL_SYMBOLS or query.stype_in == "parent" else symbol


def _value(query: SymbolQuery, listing: Listing) -> str:
    return str(listing.instrument_id) if query.stype_out == "instrument_id" else listing.raw_symbol


def _extend(intervals: dict[str, list[Interval]], name: str, day: date, value: str) -> None:
    its = intervals.setdefault(name, [])
    after = day + timedelta(days=1)
    if its and its[-1].symbol == value and its[-1].end_date == day:
        its[-1].end_date = after
    else:
        its.append(Interval(day, after, value))


def _days(intervals: Sequence[Interval]) -> int:
    return sum((interval.end_date - interval.start_date).days for interval in intervals)


def answer(query: SymbolQuery, resolution: Resolution) -> dict[str, Any]:
    """Return the answer of `symbology.resolve`: it names every symbol, and is a success whatever was found."""
    names = dict.fromkeys(resolution.not_found, ()) | dict(resolution.intervals)
    status = 2 if not resolution.intervals else 1 if resolution.partial or resolution.not_found else 0
    return {
        "result": {
            name: [
                {"d0": interval.start_date.isoformat(), "d1": interval.end_date.isoformat(), "s": interval.symbol}
                for interval in its
            ]
            for name, its in names.items()
        },
        "symbols": list(query.symbols),
        "stype_in": query.stype_in,
        "stype_out": query.stype_out,
        "start_date": resolution.first.isoformat(),
        "end_date": resolution.end.isoformat(),
        "partial": resolution.partial,
        "not_found": resolution.not_found,
        "message": ("OK", "Partially resolved", "Not found")[status],
        "status": status,
    }
