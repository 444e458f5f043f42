"""What a request asks for, read from its parameters. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from tapeline_simulator.databento.history.refusals import (
    dates_not_ascending,
    invalid_parameter,
    not_simulated,
    unavailable_schema,
    unsupported_symbology,
)
from tapeline_simulator.databento.history.times import parse_time
from tapeline_simulator.listings import ALL_SYMBOLS

Parameters = Mapping[str, str]

MAX_SYMBOLS: Final = 2_000
STYPES_IN: Final = ("raw_symbol", "instrument_id", "parent", "continuous")
STYPES_OUT: Final = ("instrument_id", "raw_symbol")


@dataclass(frozen=True, slots=True)
class SymbolQuery:
    """Symbols of one dataset and the symbologies to convert between."""

    dataset: str
    symbols: tuple[str, ...]
    stype_in: str
    stype_out: str


@dataclass(frozen=True, slots=True)
class RangeQuery:
    """Records of one schema with a time in [start_ns, end_ns); `limit` is the most records, or None."""

    symbols: SymbolQuery
    schema: str
    start_ns: int
    end_ns: int
    limit: int | None


def required(parameters: Parameters, name: str) -> str:
    """Return a parameter that must be there; raises Refusal."""
    value = parameters.get(name, "").strip()
    if not value:
        raise invalid_parameter(name, "Field required")
    return value


def read_symbols(parameters: Parameters) -> SymbolQuery:
    """Read dataset, symbols and symbologies; raises Refusal for what the API does not take."""
    symbols = tuple(dict.fromkeys(name.strip() for name in required(parameters, "symbols").split(",") if name.strip()))
    if ALL_SYMBOLS in symbols:
        symbols = (ALL_SYMBOLS,)
    if len(symbols) > MAX_SYMBOLS:
        raise invalid_parameter("symbols", f"at most {MAX_SYMBOLS:,} symbols per request, not {len(symbols):,}")
    stype_in = parameters.get("stype_in", "raw_symbol")
    stype_out = parameters.get("stype_out", "instrument_id")
    if stype_in not in STYPES_IN or stype_out not in STYPES_OUT:
        raise unsupported_symbology(stype_in, stype_out)
    return SymbolQuery(required(parameters, "dataset"), symbols, stype_in, stype_out)


def read_range(parameters: Parameters, schemas: tuple[str, ...], *, zero_is_no_limit: bool) -> RangeQuery:
    """Read the parameters that get_range and the calls about its size and cost share.

    `schemas` are those of the dataset. A limit of 0 means none to get_range, and is refused by the others: so measured
    by users of the real API. Raises Refusal for what the API does not take.
    """
    symbols = read_symbols(parameters)
    schema = parameters.get("schema", "trades")
    if schema not in schemas:
        raise unavailable_schema(symbols.dataset, schema, schemas)
    start_ns, resolution_ns = _read_time("start", required(parameters, "start"))
    end = parameters.get("end")
    end_ns = _read_time("end", end)[0] if end else start_ns + resolution_ns
    return RangeQuery(symbols, schema, start_ns, end_ns, _read_limit(parameters, zero_is_no_limit))


def _read_time(name: str, text: str) -> tuple[int, int]:
    try:
        return parse_time(text.strip())
    except ValueError:
        raise invalid_parameter(name, f"must be ISO 8601 or nanoseconds since the epoch, is {text!r}") from None


def _read_limit(parameters: Parameters, zero_is_no_limit: bool) -> int | None:
    text = parameters.get("limit")
    if not text:
        return None
    if not text.isdecimal():
        raise invalid_parameter("limit", f"must be a whole number, is {text!r}")
    if int(text) == 0:
        if zero_is_no_limit:
            return None
        raise invalid_parameter("limit", "Input should be greater than 0")
    return int(text)


def is_compressed(parameters: Parameters) -> bool:
    """Return whether a body is asked for as zstd; raises Refusal for any encoding but DBN."""
    encoding, compression = parameters.get("encoding", "dbn"), parameters.get("compression", "none")
    if encoding != "dbn":
        raise not_simulated(f"the encoding {encoding}")
    if compression not in ("none", "zstd"):
        raise invalid_parameter("compression", f"must be none or zstd, is {compression!r}")
    return compression == "zstd"


def read_date(parameters: Parameters, name: str) -> date | None:
    """Read a UTC date, or None where there is none; raises Refusal."""
    text = parameters.get(name)
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise invalid_parameter(name, f"must be a date as YYYY-MM-DD, is {text!r}") from None


def read_dates(parameters: Parameters) -> tuple[date, date]:
    """Read `start_date` and `end_date` (exclusive; by default the next day) of symbology; raises Refusal."""
    first = read_date(parameters, "start_date")
    if first is None:
        raise invalid_parameter("start_date", "Field required")
    end = read_date(parameters, "end_date") or first + timedelta(days=1)
    if first >= end:
        raise dates_not_ascending(first.isoformat(), end.isoformat())
    return first, end
