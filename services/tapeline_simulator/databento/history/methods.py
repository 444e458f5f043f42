"""The methods of the Historical API: from parameters to an answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import chain
from typing import Final

import orjson

from tapeline.feed.dbn_records import Array
from tapeline_simulator.databento.history.availability import EMBARGO_NS, FIRST_DAY, Availability
from tapeline_simulator.databento.history.bodies import Body
from tapeline_simulator.databento.history.catalogue import ALWAYS, fields, publishers
from tapeline_simulator.databento.history.pricing import USD_PER_GIGABYTE, cost_usd, unit_prices
from tapeline_simulator.databento.history.query import (
    Parameters,
    RangeQuery,
    is_compressed,
    read_date,
    read_dates,
    read_range,
    read_symbols,
    required,
)
from tapeline_simulator.databento.history.records import billable_bytes, chunks, dbn_file, metadata
from tapeline_simulator.databento.history.refusals import (
    invalid_parameter,
    not_entitled,
    unavailable_schema,
    unknown_dataset,
)
from tapeline_simulator.databento.history.symbology import Resolution, answer, resolve, resolve_some
from tapeline_simulator.databento.history.times import begin_of, day_after_last, day_of
from tapeline_simulator.databento.tape import VendorTape

_NO_DATA: Final = "Warning: No data found for the request you submitted."
_UNRESOLVED: Final = "Warning: The streaming request had one or more symbols which did not resolve: {}."
_SYMBOLS_TOLD: Final = 10


@dataclass(frozen=True, slots=True)
class Holdings:
    """What the vendor has and to whom it gives it.

    - `tapes`: one per dataset
    - `snapshots`: per dataset a tape of MBO snapshot records whose `ts_recv` is exactly a midnight of UTC; history
      holds the books of that moment, which a live tape that runs through it does not
    - `unentitled`: datasets that the account may not see; it is asked each time, so its owner may change it
    - `embargo_ns`: younger records are not history; 0 for an account with a live licence
    - `conditions`: the days that are not simply ``available``
    """

    tapes: Mapping[str, VendorTape]
    now_ns: Callable[[], int]
    snapshots: Mapping[str, VendorTape] = field(default_factory=dict)
    unentitled: Collection[str] = ()
    embargo_ns: int = EMBARGO_NS
    first_day: date = FIRST_DAY
    conditions: Mapping[date, str] = field(default_factory=dict)

    def dataset(self, parameters: Parameters) -> str:
        """Return the dataset that is asked for; raises Refusal."""
        dataset = required(parameters, "dataset")
        if dataset not in self.tapes:
            raise unknown_dataset(dataset, sorted(self.tapes))
        if dataset in self.unentitled:
            raise not_entitled(dataset)
        return dataset

    def schemas(self, dataset: str) -> tuple[str, ...]:
        """Return the schemas of a dataset, in the order in which prices are told."""
        there = {*ALWAYS, *self.tapes[dataset].schemas}
        return tuple(schema for schema in USD_PER_GIGABYTE if schema in there)

    def availability(self, dataset: str) -> Availability:
        """Return what may be asked of a dataset now."""
        return Availability(dataset, self.now_ns(), self.embargo_ns, self.first_day)

    def find(self, parameters: Parameters, *, zero_is_no_limit: bool = False) -> tuple[RangeQuery, Resolution]:
        """Return the query of the parameters and what its symbols mean; raises Refusal."""
        dataset = self.dataset(parameters)
        query = read_range(parameters, self.schemas(dataset), zero_is_no_limit=zero_is_no_limit)
        self.availability(dataset).check(query.start_ns, query.end_ns)
        first, end = day_of(query.start_ns), day_after_last(query.end_ns)
        return query, resolve_some(self.tapes[dataset].listings, query.symbols, first, end)

    def records(self, query: RangeQuery, resolution: Resolution) -> Iterator[Array]:
        """Yield the records of a query."""
        dataset = query.symbols.dataset
        return chunks(self.tapes[dataset], self.snapshots.get(dataset), query, resolution)


Method = Callable[[Holdings, Parameters], Awaitable[Body]]


def _json(value: object, headers: Mapping[str, str] | None = None) -> Body:
    return Body(iter([orjson.dumps(value)]), "application/json", headers or {})


async def _get_range(holdings: Holdings, parameters: Parameters) -> Body:
    compressed = is_compressed(parameters)
    query, resolution = holdings.find(parameters, zero_is_no_limit=True)
    records = holdings.records(query, resolution)
    first = await asyncio.to_thread(next, records, None)
    warnings = [] if first is not None else [_NO_DATA]
    if resolution.not_found:
        warnings.append(_UNRESOLVED.format(_some(resolution.not_found)))
    name = f"{query.symbols.dataset.lower().replace('.', '-')}-{day_of(query.start_ns):%Y%m%d}.{query.schema}.dbn"
    headers = {"Content-Disposition": f"attachment; filename={name}{'.zst' if compressed else ''}"}
    if warnings:
        headers["X-Warning"] = orjson.dumps(warnings).decode()
    pieces = dbn_file(
        metadata(query, resolution),
        records if first is None else chain([first], records),
        compressed=compressed,
    )
    return Body(pieces, "application/zstd" if compressed else "application/octet-stream", headers)


def _some(symbols: Sequence[str]) -> str:
    return ", ".join(symbols[:_SYMBOLS_TOLD]) + ("..." if len(symbols) > _SYMBOLS_TOLD else "")


async def _count(holdings: Holdings, parameters: Parameters) -> tuple[str, int]:
    query, resolution = holdings.find(parameters)
    return query.schema, await asyncio.to_thread(
        lambda: sum(len(records) for records in holdings.records(query, resolution))
    )


async def _get_record_count(holdings: Holdings, parameters: Parameters) -> Body:
    return _json((await _count(holdings, parameters))[1])


async def _get_billable_size(holdings: Holdings, parameters: Parameters) -> Body:
    return _json(billable_bytes(*await _count(holdings, parameters)))


async def _get_cost(holdings: Holdings, parameters: Parameters) -> Body:
    schema, count = await _count(holdings, parameters)
    return _json(cost_usd(schema, billable_bytes(schema, count)))


async def _get_dataset_range(holdings: Holdings, parameters: Parameters) -> Body:
    dataset = holdings.dataset(parameters)
    return _json(holdings.availability(dataset).dataset_range(holdings.schemas(dataset)))


async def _get_dataset_condition(holdings: Holdings, parameters: Parameters) -> Body:
    available = holdings.availability(holdings.dataset(parameters))
    first, last = read_date(parameters, "start_date"), read_date(parameters, "end_date")
    return _json(available.conditions(first, last, holdings.conditions))


async def _list_unit_prices(holdings: Holdings, parameters: Parameters) -> Body:
    return _json(unit_prices(holdings.schemas(holdings.dataset(parameters))))


async def _list_datasets(holdings: Holdings, parameters: Parameters) -> Body:
    first, end = read_date(parameters, "start_date"), read_date(parameters, "end_date")
    there = [
        dataset
        for dataset in sorted(holdings.tapes)
        for available in (holdings.availability(dataset),)
        if (first is None or begin_of(first) < available.end_ns) and (end is None or end > available.first_day)
    ]
    return _json(there)


async def _list_schemas(holdings: Holdings, parameters: Parameters) -> Body:
    return _json(holdings.schemas(holdings.dataset(parameters)))


async def _list_fields(holdings: Holdings, parameters: Parameters) -> Body:
    schema = required(parameters, "schema")
    if required(parameters, "encoding") not in ("dbn", "csv", "json"):
        raise invalid_parameter("encoding", f"must be dbn, csv or json, is {parameters['encoding']!r}")
    if schema not in USD_PER_GIGABYTE:
        raise unavailable_schema(parameters.get("dataset", "any dataset"), schema, tuple(USD_PER_GIGABYTE))
    return _json(fields(schema))


async def _list_publishers(holdings: Holdings, _: Parameters) -> Body:
    return _json(publishers(tuple(sorted(holdings.tapes))))


async def _resolve(holdings: Holdings, parameters: Parameters) -> Body:
    dataset = holdings.dataset(parameters)
    query = read_symbols(parameters)
    first, end = read_dates(parameters)
    available = holdings.availability(dataset)
    if begin_of(first) >= available.end_ns:
        raise available.too_young(begin_of(first), begin_of(end))
    return _json(answer(query, resolve(holdings.tapes[dataset].listings, query, first, end)))


METHODS: Final[Mapping[tuple[str, str], Method]] = {
    ("POST", "timeseries.get_range"): _get_range,
    ("POST", "symbology.resolve"): _resolve,
    ("POST", "metadata.get_record_count"): _get_record_count,
    ("POST", "metadata.get_billable_size"): _get_billable_size,
    ("POST", "metadata.get_cost"): _get_cost,
    ("GET", "metadata.get_dataset_range"): _get_dataset_range,
    ("GET", "metadata.get_dataset_condition"): _get_dataset_condition,
    ("GET", "metadata.list_unit_prices"): _list_unit_prices,
    ("GET", "metadata.list_datasets"): _list_datasets,
    ("GET", "metadata.list_schemas"): _list_schemas,
    ("GET", "metadata.list_fields"): _list_fields,
    ("GET", "metadata.list_publishers"): _list_publishers,
}
"""Per HTTP method and name, as the official client calls them."""
