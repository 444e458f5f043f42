"""DBN files as what the vendor has captured: their records on a tape, their instruments among its listings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import numpy as np

from tapeline.errors import Misconfigured
from tapeline.feed.dbn_records import RTYPE_DEFINITION, RTYPE_SYMBOL_MAPPING, UNDEFINED_TIME, Array
from tapeline_simulator.databento.dbn_file import DbnFile
from tapeline_simulator.databento.schemas import RTYPES, capture_times
from tapeline_simulator.databento.symbols import class_of, parent_of
from tapeline_simulator.databento.tape import VendorTape
from tapeline_simulator.listings import Listing

FOR_EVER_NS: Final = 2**62

_SHIFTED: Final = ("ts_event", "ts_ref", "activation", "expiration")
_SCHEMAS: Final = {rtype: schema for schema, rtype in RTYPES.items() if schema != "tbbo"}


@dataclass(frozen=True, slots=True)
class _Mapped:
    """A raw symbol's number during [start_ns, end_ns), and the parent that was asked for, if one was."""

    instrument_id: int
    raw_symbol: str
    parent: str
    start_ns: int
    end_ns: int


def load_files(tape: VendorTape, paths: Sequence[Path], *, shift_to_ns: int | None) -> None:
    """Put all records of DBN files (versions 1 to 3) on `tape`, file by file, and list their instruments.

    With `shift_to_ns`, every time moves by what brings the earliest first `ts_recv` of the files to that moment. The
    last number of a symbol stays valid after the files' days, unless a definition says when it expires. Raises BadData
    where a file is not DBN throughout, Misconfigured where it is of another dataset, or has no records.
    """
    files = [DbnFile(path) for path in paths]
    for file in files:
        if file.metadata.dataset != tape.dataset:
            raise Misconfigured(f"{file.path}: is of {file.metadata.dataset}, and {tape.dataset} is served")
    shift_ns = 0 if shift_to_ns is None else shift_to_ns - min(_first_capture(path) for path in paths)
    mapped: list[_Mapped] = []
    definitions: dict[int, np.void] = {}
    for file in files:
        mapped.extend(_mapped(file))
        for records in file.runs():
            rtype = int(records["rtype"][0])
            _shift(records, shift_ns)
            if rtype == RTYPE_SYMBOL_MAPPING:
                mapped.extend(_mapped_by_records(records, shift_ns))
            elif rtype in _SCHEMAS:
                tape.append(_schema(file, rtype), records)
            if rtype == RTYPE_DEFINITION:
                definitions.update((int(record["instrument_id"]), record) for record in records)
    for listing in _listings(mapped, definitions, shift_ns):
        tape.listings.add(listing)


def _schema(file: DbnFile, rtype: int) -> str:
    named = str(file.metadata.schema)
    return named if RTYPES.get(named) == rtype else _SCHEMAS[rtype]


def _first_capture(path: Path) -> int:
    for records in DbnFile(path).runs():
        if int(records["rtype"][0]) in _SCHEMAS:
            return int(capture_times(records)[0])
    raise Misconfigured(f"{path}: has no records to serve")


def _shift(records: Array, shift_ns: int) -> None:
    if not shift_ns:
        return
    fields = [records[name] for name in _SHIFTED if name in (records.dtype.names or ())]
    received = capture_times(records)
    if not np.shares_memory(received, records["ts_event"]):
        fields.append(received)
    for times in fields:
        times[times != UNDEFINED_TIME] += shift_ns


def _mapped(file: DbnFile) -> Iterator[_Mapped]:
    metadata = file.metadata
    asked = metadata.symbols[0] if str(metadata.stype_in) == "parent" and len(metadata.symbols) == 1 else ""
    for symbol, intervals in metadata.mappings.items():
        for interval in intervals:
            raw_symbol, number = symbol, interval["symbol"]
            if str(metadata.stype_out) != "instrument_id":
                raw_symbol, number = number, raw_symbol
            # An empty one: not resolved on those days.
            if number.isdecimal() and raw_symbol:
                start_ns, end_ns = _midnight(interval["start_date"]), _midnight(interval["end_date"])
                yield _Mapped(int(number), raw_symbol, asked or parent_of(raw_symbol), start_ns, end_ns)


def _mapped_by_records(records: Array, shift_ns: int) -> Iterator[_Mapped]:
    for record in records:
        raw_symbol = record["stype_out_symbol"].decode("ascii", "replace")
        start_ns, end_ns = int(record["start_ts"]), int(record["end_ts"])
        if UNDEFINED_TIME in (start_ns, end_ns):
            start_ns, end_ns = int(record["ts_event"]) - shift_ns, FOR_EVER_NS
        yield _Mapped(int(record["instrument_id"]), raw_symbol, parent_of(raw_symbol), start_ns, end_ns)


def _listings(mapped: Sequence[_Mapped], definitions: dict[int, np.void], shift_ns: int) -> Iterator[Listing]:
    by_symbol: dict[str, list[_Mapped]] = {}
    for each in sorted(mapped, key=lambda each: each.start_ns):
        intervals = by_symbol.setdefault(each.raw_symbol, [])
        if intervals and intervals[-1].instrument_id == each.instrument_id:
            each = replace(intervals.pop(), end_ns=each.end_ns)
        intervals.append(each)
    known = {each.instrument_id for each in mapped}
    for number, definition in definitions.items():
        if number not in known:
            raw_symbol = _text(definition["raw_symbol"])
            start_ns = int(definition["ts_recv"]) - shift_ns
            by_symbol.setdefault(raw_symbol, []).append(_Mapped(number, raw_symbol, "", start_ns, start_ns))
    for intervals in by_symbol.values():
        for each, after in zip(intervals, [*intervals[1:], None], strict=True):
            end_ns = FOR_EVER_NS if after is None else min(each.end_ns, after.start_ns) + shift_ns
            yield _listing(each, definitions.get(each.instrument_id), each.start_ns + shift_ns, end_ns)


def _listing(each: _Mapped, definition: np.void | None, listed_ns: int, expires_ns: int) -> Listing:
    parent, letter, data = each.parent, class_of(each.raw_symbol), b""
    if definition is not None and _text(definition["raw_symbol"]) == each.raw_symbol:
        letter, data = _text(definition["instrument_class"]), definition.tobytes()
        parent = parent or _text(definition["asset"]) + (".FUT" if letter in "FS" else ".OPT")
        if int(definition["expiration"]) != UNDEFINED_TIME:
            expires_ns = min(expires_ns, int(definition["expiration"]))
    return Listing(each.instrument_id, each.raw_symbol, parent, letter, listed_ns, expires_ns, data)


def _text(field: bytes) -> str:
    return field.decode("ascii", "replace")


def _midnight(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000_000
