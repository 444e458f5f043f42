"""How instrument definitions lie in bytes, DBN versions 1 to 3: every field, by the name that Databento gives it. Pure.

Source: databento/dbn, `rust/dbn/src/record.rs`, `v1` and `v2`; a test holds the layouts to the official decoder. The
fields follow each other without gaps. Times are unsigned on the wire; read as int64 the undefined one is -1.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

Groups = tuple[tuple[str, str], ...]
"""Consecutive fields as (format, names)."""

_HEADER: Final[Groups] = (
    ("u1", "length rtype"),
    ("<u2", "publisher_id"),
    ("<u4", "instrument_id"),
    ("<i8", "ts_event"),
)

_PRICES_AND_TIMES: Final[Groups] = (
    ("<i8", "ts_recv min_price_increment display_factor expiration activation"),
    ("<i8", "high_limit_price low_limit_price max_price_variation"),
)
_SIZES: Final[Groups] = (
    ("<i4", "market_depth_implied market_depth"),
    ("<u4", "market_segment_id max_trade_vol"),
    ("<i4", "min_lot_size min_lot_size_block min_lot_size_round_lot"),
    ("<u4", "min_trade_vol"),
)
_CONTRACT: Final[Groups] = (("<i4", "contract_multiplier decay_quantity original_contract_size"),)
_CODES: Final[Groups] = (
    ("<u2", "trading_reference_date"),
    ("<i2", "appl_id"),
    ("<u2", "maturity_year decay_start_date channel_id"),
)
_CURRENCIES: Final[Groups] = (("S4", "currency settl_currency"), ("S6", "secsubtype"))
_NAMES: Final[Groups] = (
    ("S21", "group"),
    ("S5", "exchange"),
    ("S7", "asset cfi security_type"),
    ("S31", "unit_of_measure"),
    ("S21", "underlying"),
    ("S4", "strike_price_currency"),
    ("S1", "instrument_class"),
)
_LETTERS: Final[Groups] = (
    ("S1", "match_algorithm"),
    ("u1", "md_security_trading_status main_fraction price_display_format settl_price_type"),
    ("u1", "sub_fraction underlying_product"),
    ("S1", "security_update_action"),
    ("u1", "maturity_month maturity_day maturity_week"),
    ("S1", "user_defined_instrument"),
    ("i1", "contract_multiplier_unit flow_schedule_type"),
    ("u1", "tick_rule"),
)


def _layout(*parts: Groups) -> np.dtype[np.void]:
    fields: list[tuple[str, Any]] = [
        (name, form) for part in (_HEADER, *parts) for form, names in part for name in names.split()
    ]
    return np.dtype(fields)


DEFINITION_RECORD: Final = _layout(
    _PRICES_AND_TIMES,
    (
        ("<i8", "unit_of_measure_qty min_price_increment_amount price_ratio strike_price"),
        ("<u8", "raw_instrument_id"),
        ("<i8", "leg_price leg_delta"),
        ("<i4", "inst_attrib_value"),
        ("<u4", "underlying_id"),
    ),
    _SIZES,
    _CONTRACT,
    (
        ("<u4", "leg_instrument_id"),
        ("<i4", "leg_ratio_price_numerator leg_ratio_price_denominator"),
        ("<i4", "leg_ratio_qty_numerator leg_ratio_qty_denominator"),
        ("<u4", "leg_underlying_id"),
        ("<i2", "appl_id"),
        ("<u2", "maturity_year decay_start_date channel_id leg_count leg_index"),
    ),
    _CURRENCIES,
    (
        ("S71", "raw_symbol"),
        ("S21", "group"),
        ("S5", "exchange"),
        ("S11", "asset"),
        ("S7", "cfi security_type"),
        ("S31", "unit_of_measure"),
        ("S21", "underlying"),
        ("S4", "strike_price_currency"),
        ("S71", "leg_raw_symbol"),
        ("S1", "instrument_class match_algorithm"),
        ("u1", "main_fraction price_display_format sub_fraction underlying_product"),
        ("S1", "security_update_action"),
        ("u1", "maturity_month maturity_day maturity_week"),
        ("S1", "user_defined_instrument"),
        ("i1", "contract_multiplier_unit flow_schedule_type"),
        ("u1", "tick_rule"),
        ("S1", "leg_instrument_class leg_side"),
        ("V17", "_reserved"),
    ),
)
DEFINITION_RECORD_V2: Final = _layout(
    _PRICES_AND_TIMES,
    (
        ("<i8", "trading_reference_price unit_of_measure_qty min_price_increment_amount price_ratio strike_price"),
        ("<i4", "inst_attrib_value"),
        ("<u4", "underlying_id raw_instrument_id"),
    ),
    _SIZES,
    _CONTRACT,
    _CODES,
    _CURRENCIES,
    (("S71", "raw_symbol"),),
    _NAMES,
    _LETTERS,
    (("V10", "_reserved"),),
)
DEFINITION_RECORD_V1: Final = _layout(
    _PRICES_AND_TIMES,
    (
        ("<i8", "trading_reference_price unit_of_measure_qty min_price_increment_amount price_ratio"),
        ("<i4", "inst_attrib_value"),
        ("<u4", "underlying_id raw_instrument_id"),
    ),
    _SIZES,
    (("V4", "_reserved2"),),
    _CONTRACT,
    (("V4", "_reserved3"),),
    _CODES,
    _CURRENCIES,
    (("S22", "raw_symbol"),),
    _NAMES,
    (("V2", "_reserved4"), ("<i8", "strike_price"), ("V6", "_reserved5")),
    _LETTERS,
    (("V3", "_dummy"),),
)
