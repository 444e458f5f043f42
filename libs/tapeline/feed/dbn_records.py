"""How DBN records lie in bytes, versions 1 to 3, and how a run of one record type becomes columns. Pure.

Source of the layouts: databento/dbn, `rust/dbn/src/record.rs` and its `v1`, `v2`, `v3`; a test holds them to the
official decoder. Everything is little-endian, and every record begins with the header of 16 bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tapeline.feed.definition_records import DEFINITION_RECORD, DEFINITION_RECORD_V1, DEFINITION_RECORD_V2
from tapeline.model.columns import COLUMNS, INT64_MAX, TickKind

Array = npt.NDArray[Any]

HEADER_BYTES: Final = 16
TS_OUT_BYTES: Final = 8
"""What `ts_out` adds to the end of every record."""

INT32_MAX: Final = 2**31 - 1
UNDEFINED_SIZE: Final = 2**32 - 1
UNDEFINED_TIME: Final = -1
"""The unsigned 64-bit maximum, read as a signed number."""

RTYPE_DEFINITION: Final = 0x13
RTYPE_ERROR: Final = 0x15
RTYPE_SYMBOL_MAPPING: Final = 0x16
RTYPE_SYSTEM: Final = 0x17

# Times are unsigned on the wire; read as int64 they are ready for a frame, and the undefined one is -1.
_HEADER: Final = {
    "length": ("u1", 0),
    "rtype": ("u1", 1),
    "publisher_id": ("<u2", 2),
    "instrument_id": ("<u4", 4),
    "ts_event": ("<i8", 8),
}
_TRADE: Final = {
    "price": ("<i8", 16),
    "size": ("<u4", 24),
    "action": ("u1", 28),
    "side": ("u1", 29),
    "flags": ("u1", 30),
    "depth": ("u1", 31),
    "ts_recv": ("<i8", 32),
    "ts_in_delta": ("<i4", 40),
    "sequence": ("<u4", 44),
}
_TOP: Final = {
    "bid_price": ("<i8", 48),
    "ask_price": ("<i8", 56),
    "bid_size": ("<u4", 64),
    "ask_size": ("<u4", 68),
    "bid_count": ("<u4", 72),
    "ask_count": ("<u4", 76),
}


def _record(bytes_: int, **fields: tuple[str, int]) -> np.dtype[np.void]:
    fields = _HEADER | fields
    return np.dtype(
        {
            "names": list(fields),
            "formats": [fmt for fmt, _ in fields.values()],
            "offsets": [offset for _, offset in fields.values()],
            "itemsize": bytes_,
        }
    )


MBO_RECORD: Final = _record(
    56,
    order_id=("<u8", 16),
    price=("<i8", 24),
    size=("<u4", 32),
    flags=("u1", 36),
    channel_id=("u1", 37),
    action=("u1", 38),
    side=("u1", 39),
    ts_recv=("<i8", 40),
    ts_in_delta=("<i4", 48),
    sequence=("<u4", 52),
)
_TRADE_RECORD: Final = _record(48, **_TRADE)
_MBP1_RECORD: Final = _record(80, **_TRADE, **_TOP)
_BBO_RECORD: Final = _record(
    80, **{name: at for name, at in _TRADE.items() if name not in ("action", "depth", "ts_in_delta")}, **_TOP
)
_STATUS_RECORD: Final = _record(
    40,
    ts_recv=("<i8", 16),
    action=("<u2", 24),
    reason=("<u2", 26),
    is_trading=("u1", 30),
    is_quoting=("u1", 31),
)
_STATISTICS_RECORD: Final = _record(
    80,
    ts_recv=("<i8", 16),
    ts_ref=("<i8", 24),
    price=("<i8", 32),
    quantity=("<i8", 40),
    sequence=("<u4", 48),
    ts_in_delta=("<i4", 52),
    stat_type=("<u2", 56),
    update_action=("u1", 60),
    stat_flags=("u1", 61),
)
_STATISTICS_RECORD_V1: Final = _record(
    64,
    ts_recv=("<i8", 16),
    ts_ref=("<i8", 24),
    price=("<i8", 32),
    quantity=("<i4", 40),
    sequence=("<u4", 44),
    ts_in_delta=("<i4", 48),
    stat_type=("<u2", 52),
    update_action=("u1", 56),
    stat_flags=("u1", 57),
)
_MAPPING_RECORD: Final = _record(
    176,
    stype_in_symbol=("S71", 17),
    stype_out_symbol=("S71", 89),
    start_ts=("<i8", 160),
    end_ts=("<i8", 168),
)
_MAPPING_RECORD_V1: Final = _record(
    80,
    stype_in_symbol=("S22", 16),
    stype_out_symbol=("S22", 38),
    start_ts=("<i8", 64),
    end_ts=("<i8", 72),
)
_SYSTEM_RECORD: Final = _record(320, msg=("S303", 16), code=("u1", 319))
_SYSTEM_RECORD_V1: Final = _record(80, msg=("S64", 16))
_ERROR_RECORD: Final = _record(320, err=("S302", 16), code=("u1", 318), is_last=("u1", 319))
_ERROR_RECORD_V1: Final = _record(80, err=("S64", 16))


@dataclass(frozen=True, slots=True)
class Layout:
    """One record type of one DBN version: its name, its fields, and the kind of tick it becomes, if any."""

    name: str
    record: np.dtype[np.void]
    kind: TickKind | None = None


def layouts(version: int, *, ts_out: bool) -> dict[int, Layout]:
    """Return the layout per rtype for DBN `version` (1, 2 or 3), with room for `ts_out` where records carry it."""
    v1, before_v3 = version == 1, version < 3
    definition = DEFINITION_RECORD_V1 if v1 else DEFINITION_RECORD_V2 if before_v3 else DEFINITION_RECORD
    by_rtype = {
        0x00: Layout("trades", _TRADE_RECORD, "trade"),
        0x01: Layout("mbp-1", _MBP1_RECORD, "l1"),
        0x0A: Layout("mbp-10", _record(368)),
        0x11: Layout("ohlcv", _record(56)),
        0x12: Layout("status", _STATUS_RECORD, "status"),
        RTYPE_DEFINITION: Layout("definition", definition),
        0x14: Layout("imbalance", _record(112)),
        RTYPE_ERROR: Layout("error", _ERROR_RECORD_V1 if v1 else _ERROR_RECORD),
        RTYPE_SYMBOL_MAPPING: Layout("symbol-mapping", _MAPPING_RECORD_V1 if v1 else _MAPPING_RECORD),
        RTYPE_SYSTEM: Layout("system", _SYSTEM_RECORD_V1 if v1 else _SYSTEM_RECORD),
        0x18: Layout("statistics", _STATISTICS_RECORD_V1 if before_v3 else _STATISTICS_RECORD, "statistics"),
        0x20: Layout("ohlcv-1s", _record(56)),
        0x21: Layout("ohlcv-1m", _record(56)),
        0x22: Layout("ohlcv-1h", _record(56)),
        0x23: Layout("ohlcv-1d", _record(56)),
        0x24: Layout("ohlcv-eod", _record(56)),
        0xA0: Layout("mbo", MBO_RECORD, "mbo"),
        0xB1: Layout("cmbp-1", _record(80)),
        0xC0: Layout("cbbo-1s", _record(80)),
        0xC1: Layout("cbbo-1m", _record(80)),
        0xC2: Layout("tcbbo", _record(80)),
        0xC3: Layout("bbo-1s", _BBO_RECORD, "l1"),
        0xC4: Layout("bbo-1m", _BBO_RECORD, "l1"),
    }
    if not ts_out:
        return by_rtype
    return {rtype: Layout(each.name, _longer(each.record), each.kind) for rtype, each in by_rtype.items()}


def _longer(record: np.dtype[np.void]) -> np.dtype[np.void]:
    fields = {name: (field[0].str, field[1]) for name, field in (record.fields or {}).items()}
    return _record(record.itemsize + TS_OUT_BYTES, **fields)


# A column that a record type does not carry (BBO has no action, statistics have no flags) is this throughout.
_ABSENT: Final[Mapping[str, int]] = {"action": ord("N"), "depth": 0, "flags": 0, "ts_in_delta": 0}
_LETTERS_OK: Final = {
    column.letters: np.isin(np.arange(256), list(column.letters.encode("ascii")))
    for columns in COLUMNS.values()
    for column in columns
    if column.is_text
}


def to_columns(records: Array, kind: TickKind) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return (columns, undefined) of a structured array of one record type.

    The columns are contiguous copies with the names and dtypes of ``COLUMNS[kind]``, all but `symbol`; times are
    absolute ns. `undefined` maps a column's name to the rows (int64) whose value is DBN's undefined one, stored as 0.
    """
    columns: dict[str, Array] = {}
    undefined: dict[str, Array] = {}
    names = records.dtype.names or ()
    for column in COLUMNS[kind]:
        name = column.name
        if name == "symbol":
            continue
        if name not in names:
            columns[name] = np.full(len(records), _ABSENT[name], dtype=column.dtype)
            continue
        field = records[name]
        values = columns[name] = field.astype(column.dtype)
        if not column.can_be_undefined:
            continue
        sentinel = _sentinel(name, field.dtype)
        if (values.min() if sentinel < 0 else values.max()) == sentinel:
            undefined[name] = np.flatnonzero(values == sentinel)
            values[undefined[name]] = 0
    return columns, undefined


def _sentinel(name: str, dtype: np.dtype[Any]) -> int:
    if name.startswith("ts_"):
        return UNDEFINED_TIME
    if dtype.itemsize == 8:
        return INT64_MAX
    return UNDEFINED_SIZE if dtype.kind == "u" else INT32_MAX


def first_fault(columns: Mapping[str, Array], kind: TickKind) -> tuple[int, str] | None:
    """Return (row, rule) of the first row that no frame may carry, or None if all are good."""
    faults = []
    for column in COLUMNS[kind]:
        values = columns.get(column.name)
        if values is None:
            continue
        if column.is_text:
            good = _LETTERS_OK[column.letters][values]
            if not good.all():
                faults.append((int(good.argmin()), f"{column.name} must be one of {', '.join(column.letters)}"))
        elif column.name.startswith("ts_") and column.name != "ts_in_delta" and values.min() < UNDEFINED_TIME:
            faults.append(
                (int((values < UNDEFINED_TIME).argmax()), f"{column.name} must be a time before the year 2262")
            )
    return min(faults, default=None)
