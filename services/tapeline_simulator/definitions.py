"""Instrument definitions as CME's and Databento's look, made with the official record type (DBN version 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from databento_dbn import (
    InstrumentClass,
    InstrumentDefMsg,
    MatchAlgorithm,
    SecurityUpdateAction,
    Side,
    UserDefinedInstrument,
)

from tapeline_simulator.expiries import ROOT, Future, Series
from tapeline_simulator.listings import Listing

PUBLISHER_ID: Final = 1
MULTIPLIER: Final = 20
"""Dollars per index point of NQ and of its options."""
FUTURE_TICK_E9: Final = 250_000_000

_POINT_E9: Final = 1_000_000_000
_FUTURES_CHANNEL, _OPTIONS_CHANNEL = 0, 1
_FUTURES_SEGMENT, _OPTIONS_SEGMENT = 64, 54
_LIMIT_SHARE: Final = 0.07
_DAY_NS: Final = 86_400 * 10**9
_FUTURE_LISTED_NS: Final = 457 * _DAY_NS
_QUARTERLY_LISTED_NS: Final = 365 * _DAY_NS
_WEEKLY_LISTED_NS: Final = 28 * _DAY_NS
_VARIABLE_TICK: Final = 15
"""CME's tick rule of a tick that depends on the premium: 0.05 at or below 5.00, else 0.25."""
_DISPLAY_FACTOR: Final = 10_000_000
_INDEX_UNIT: Final = "IPNT"


@dataclass(frozen=True, slots=True)
class Leg:
    """One leg of a spread: the `listing` that is bought (`is_bought`) or sold, `ratio` times."""

    listing: Listing
    is_bought: bool
    ratio: int = 1


def future(
    contract: Future, instrument_id: int, *, settlement_e9: int, at_ns: int, latency_ns: int
) -> tuple[Listing, bytes]:
    """Define a future; prices are limited around the last settlement. Return the listing and its record(s)."""
    limit_e9 = int(settlement_e9 * _LIMIT_SHARE) // FUTURE_TICK_E9 * FUTURE_TICK_E9
    activation_ns = contract.expires_ns - _FUTURE_LISTED_NS
    record = InstrumentDefMsg(
        **_common(contract.symbol, instrument_id, contract.expires_ns, activation_ns, at_ns, latency_ns),
        instrument_class=InstrumentClass("F"),
        min_price_increment=FUTURE_TICK_E9,
        min_price_increment_amount=FUTURE_TICK_E9 * MULTIPLIER,
        unit_of_measure_qty=MULTIPLIER * _POINT_E9,
        high_limit_price=settlement_e9 + limit_e9,
        low_limit_price=settlement_e9 - limit_e9,
        max_price_variation=50 * _POINT_E9,
        asset=ROOT,
        group=ROOT,
        security_type="FUT",
        cfi="FFIXSX",
        inst_attrib_value=270_351,
        market_depth=10,
        market_segment_id=_FUTURES_SEGMENT,
        appl_id=310,
        channel_id=_FUTURES_CHANNEL,
        user_defined_instrument=UserDefinedInstrument("N"),
    )
    return _listing(record, f"{ROOT}.FUT", activation_ns, contract.expires_ns)


def option(
    series: Series,
    strike_points: int,
    is_call: bool,
    instrument_id: int,
    underlying_id: int,
    *,
    at_ns: int,
    latency_ns: int,
    activation_ns: int | None = None,
) -> tuple[Listing, bytes]:
    """Define an option of `series`; without `activation_ns` it is as old as its series. Return listing and record."""
    listed_for_ns = _QUARTERLY_LISTED_NS if series.is_american else _WEEKLY_LISTED_NS
    if activation_ns is None:
        activation_ns = min(series.expires_ns - listed_for_ns, at_ns)
    right = "C" if is_call else "P"
    symbol = option_symbol(series, strike_points, is_call)
    record = InstrumentDefMsg(
        **_common(symbol, instrument_id, series.expires_ns, activation_ns, at_ns, latency_ns),
        instrument_class=InstrumentClass(right),
        min_price_increment=2**63 - 1,
        min_price_increment_amount=0,
        unit_of_measure_qty=MULTIPLIER * _POINT_E9,
        high_limit_price=99_999 * _POINT_E9,
        low_limit_price=_POINT_E9 // 20,
        asset=series.root,
        group=series.root,
        security_type="OOF",
        cfi=f"O{right}{'A' if series.is_american else 'E'}FPS",
        strike_price=strike_points * _POINT_E9,
        strike_price_currency="USD",
        underlying=series.underlying,
        underlying_id=underlying_id,
        inst_attrib_value=270_339,
        market_depth=3,
        market_segment_id=_OPTIONS_SEGMENT,
        appl_id=311,
        channel_id=_OPTIONS_CHANNEL,
        tick_rule=_VARIABLE_TICK,
        user_defined_instrument=UserDefinedInstrument("N"),
    )
    return _listing(record, series.parent, activation_ns, series.expires_ns)


def user_defined(
    symbol: str,
    legs: Sequence[Leg],
    series: Series,
    instrument_id: int,
    underlying_id: int,
    *,
    at_ns: int,
    latency_ns: int,
) -> tuple[Listing, bytes]:
    """Define a spread that a trader made: class T of options alone, M with a future among the legs.

    It belongs to the parent of its series and ends with it. There is one record per leg; the listing holds the first.
    """
    of_options = all(leg.listing.instrument_class in "CP" for leg in legs)
    records = [
        InstrumentDefMsg(
            **_common(symbol, instrument_id, series.expires_ns, at_ns, at_ns, latency_ns),
            instrument_class=InstrumentClass("T" if of_options else "M"),
            min_price_increment=_POINT_E9 // 20,
            min_price_increment_amount=_POINT_E9 // 20 * MULTIPLIER,
            unit_of_measure_qty=MULTIPLIER * _POINT_E9,
            asset=series.root,
            group=series.root,
            security_type="OOF" if of_options else "MLEG",
            secsubtype="VT" if of_options else "CO",
            cfi="OMXXXX" if of_options else "FMXXXX",
            underlying=series.underlying,
            underlying_id=underlying_id,
            inst_attrib_value=270_339,
            market_depth=3,
            market_segment_id=_OPTIONS_SEGMENT,
            appl_id=311,
            channel_id=_OPTIONS_CHANNEL,
            user_defined_instrument=UserDefinedInstrument("Y"),
            leg_count=len(legs),
            leg_index=index,
            leg_instrument_id=leg.listing.instrument_id,
            leg_raw_symbol=leg.listing.raw_symbol,
            leg_instrument_class=InstrumentClass(leg.listing.instrument_class),
            leg_side=Side("B" if leg.is_bought else "A"),
            leg_ratio_qty_numerator=leg.ratio,
            leg_ratio_qty_denominator=1,
            leg_underlying_id=underlying_id if leg.listing.instrument_class in "CP" else 0,
        )
        for index, leg in enumerate(legs)
    ]
    listing, _ = _listing(records[0], series.parent, at_ns, series.expires_ns)
    return listing, b"".join(bytes(record) for record in records)


def option_symbol(series: Series, strike_points: int, is_call: bool) -> str:
    """Return the raw symbol, such as ``Q2DQ6 C21500``."""
    return f"{series.code} {'C' if is_call else 'P'}{strike_points}"


def _common(
    symbol: str, instrument_id: int, expires_ns: int, activation_ns: int, at_ns: int, latency_ns: int
) -> dict[str, Any]:
    expiry = datetime.fromtimestamp(expires_ns // 10**9, UTC)
    return {
        "publisher_id": PUBLISHER_ID,
        "instrument_id": instrument_id,
        "raw_instrument_id": instrument_id,
        "ts_event": at_ns,
        "ts_recv": at_ns + latency_ns,
        "raw_symbol": symbol,
        "security_update_action": SecurityUpdateAction.ADD,
        "expiration": expires_ns,
        "activation": activation_ns,
        "display_factor": _DISPLAY_FACTOR,
        "currency": "USD",
        "exchange": "XCME",
        "unit_of_measure": _INDEX_UNIT,
        "match_algorithm": MatchAlgorithm.FIFO,
        "underlying_product": 5,
        "maturity_year": expiry.year,
        "maturity_month": expiry.month,
        "max_trade_vol": 3_000,
        "min_lot_size": 0,
        "min_lot_size_block": 0,
        "min_lot_size_round_lot": 0,
        "min_trade_vol": 1,
        "market_depth_implied": 0,
    }


def _listing(record: InstrumentDefMsg, parent: str, listed_ns: int, expires_ns: int) -> tuple[Listing, bytes]:
    definition = bytes(record)
    letter = str(record.instrument_class)
    listing = Listing(record.instrument_id, record.raw_symbol, parent, letter, listed_ns, expires_ns, definition)
    return listing, definition
