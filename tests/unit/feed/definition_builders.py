"""Definition records of NQ and its options, made with the official record type."""

from __future__ import annotations

from typing import Any, Final

import databento_dbn as dbn
import numpy as np

from tapeline.feed.dbn_records import RTYPE_DEFINITION, Array, layouts

AT: Final = 1_795_532_400_000_000_000  # Tuesday 2026-11-24 15:00:00 UTC, 09:00 in Chicago
EXPIRY: Final = 1_795_554_000_000_000_000  # the same day, 15:00 in Chicago
HOUR: Final = 3_600_000_000_000
E9: Final = 1_000_000_000
CLASSES: Final = {str(letter): letter for letter in dbn.InstrumentClass.variants()}
ACTIONS: Final = {str(letter): letter for letter in dbn.SecurityUpdateAction.variants()}


def definition(**fields: Any) -> dbn.InstrumentDefMsg:
    """Return a record; what is not given is as in an option of Q4B."""
    given: dict[str, Any] = {
        "publisher_id": 1,
        "instrument_id": 7,
        "ts_event": AT,
        "ts_recv": AT + 1,
        "min_price_increment": 2**63 - 1,
        "display_factor": E9 // 100,
        "raw_symbol": "Q4BX6 C25100",
        "asset": "Q4B",
        "group": "QW",
        "security_type": "OOF",
        "instrument_class": "C",
        "security_update_action": "A",
        "expiration": EXPIRY,
        "activation": AT - 24 * HOUR,
        "strike_price": 25_100 * E9,
        "underlying": "NQZ6",
        "underlying_id": 3,
        "cfi": "OCEFPS",
        "unit_of_measure_qty": 20 * E9,
        "currency": "USD",
        "user_defined_instrument": dbn.UserDefinedInstrument.NO,
        **fields,
    }
    given["instrument_class"] = CLASSES[given["instrument_class"]]
    given["security_update_action"] = ACTIONS[given["security_update_action"]]
    return dbn.InstrumentDefMsg(**given)


def option(instrument_id: int, strike: int = 25_100, right: str = "C", **fields: Any) -> dbn.InstrumentDefMsg:
    """Return an option of Q4B on NQZ6."""
    return definition(
        instrument_id=instrument_id,
        raw_symbol=f"{fields.get('asset', 'Q4B')}X6 {right}{strike}",
        instrument_class=right,
        cfi=f"O{right}EFPS",
        strike_price=strike * E9,
        **fields,
    )


def spread(instrument_id: int, legs: int, **fields: Any) -> list[dbn.InstrumentDefMsg]:
    """Return a user-defined spread of Q4B options, one record per leg."""
    return [
        definition(
            **{
                "instrument_id": instrument_id,
                "raw_symbol": f"UD:1V: VT {instrument_id}",
                "instrument_class": "T",
                "cfi": "OMXXXX",
                "strike_price": 2**63 - 1,
                "min_price_increment": E9 // 20,
                "user_defined_instrument": dbn.UserDefinedInstrument.YES,
                "leg_count": legs,
                "leg_index": index,
                "leg_instrument_id": 100 + index,
                "leg_raw_symbol": f"Q4BX6 C{25_000 + 100 * index}",
                "leg_instrument_class": dbn.InstrumentClass.CALL,
                "leg_side": dbn.Side.ASK if index % 2 else dbn.Side.BID,
                "leg_ratio_qty_numerator": index + 1,
                "leg_ratio_qty_denominator": 1,
                **fields,
            }
        )
        for index in range(legs)
    ]


def records(*messages: dbn.InstrumentDefMsg) -> Array:
    """Return them as a structured array of the version-3 layout."""
    layout = layouts(3, ts_out=False)[RTYPE_DEFINITION].record
    return np.frombuffer(b"".join(bytes(message) for message in messages), dtype=layout)
