"""Status and statistics as CME's and Databento's look, made with the official record types (DBN version 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from databento_dbn import StatMsg, StatType, StatUpdateAction, StatusAction, StatusMsg, StatusReason, TriState

from tapeline.feed.dbn_records import Array
from tapeline_simulator.databento.schemas import record_of
from tapeline_simulator.definitions import PUBLISHER_ID

LATENCY_NS: Final = 92_000
_IN_DELTA_NS: Final = 12_000
_UNDEFINED_PRICE: Final = 2**63 - 1
_UNDEFINED_QUANTITY: Final = 2**63 - 1
_UNDEFINED_TIME: Final = 2**64 - 1
_FINAL_AND_ACTUAL: Final = 3
_NO_FLAGS: Final = 255


@dataclass(frozen=True, slots=True)
class Phase:
    """What an instrument may do from now on, and why."""

    action: int
    reason: int
    is_trading: bool
    is_quoting: bool


PRE_OPEN: Final = Phase(StatusAction.PRE_OPEN, StatusReason.SCHEDULED, is_trading=False, is_quoting=True)
TRADING: Final = Phase(StatusAction.TRADING, StatusReason.SCHEDULED, is_trading=True, is_quoting=True)
HALT: Final = Phase(StatusAction.HALT, StatusReason.SURVEILLANCE_INTERVENTION, is_trading=False, is_quoting=False)
RESUMED: Final = Phase(StatusAction.TRADING, StatusReason.MARKET_EVENT, is_trading=True, is_quoting=True)
EXPIRED: Final = Phase(StatusAction.CLOSE, StatusReason.INSTRUMENT_EXPIRATION, is_trading=False, is_quoting=False)


@dataclass(frozen=True, slots=True)
class Yesterday:
    """What the clearing house says of an instrument's last session: prices in 1e-9, contracts."""

    instrument_id: int
    settlement_e9: int
    open_interest: int
    cleared_volume: int


def statuses(instrument_ids: list[int], phase: Phase, at_ns: int) -> Array:
    """Return the status of each instrument from `at_ns` on."""
    return records_of(
        "status",
        b"".join(
            bytes(
                StatusMsg(
                    publisher_id=PUBLISHER_ID,
                    instrument_id=number,
                    ts_event=at_ns,
                    ts_recv=at_ns + LATENCY_NS,
                    action=StatusAction(phase.action),
                    reason=StatusReason(phase.reason),
                    is_trading=TriState("Y" if phase.is_trading else "N"),
                    is_quoting=TriState("Y" if phase.is_quoting else "N"),
                )
            )
            for number in instrument_ids
        ),
    )


def statistics_of_yesterday(every: list[Yesterday], day_ns: int, at_ns: int) -> Array:
    """Return settlement, open interest and cleared volume of the trading day that `day_ns` begins, told at `at_ns`."""
    told = []
    for one in every:
        told.append(_statistic(one.instrument_id, at_ns, StatType.SETTLEMENT_PRICE, one.settlement_e9, None, day_ns))
        told.append(_statistic(one.instrument_id, at_ns, StatType.OPEN_INTEREST, None, one.open_interest, day_ns))
        told.append(_statistic(one.instrument_id, at_ns, StatType.CLEARED_VOLUME, None, one.cleared_volume, day_ns))
    return records_of("statistics", b"".join(told))


def opening_price(instrument_id: int, price_e9: int, at_ns: int) -> Array:
    """Return the statistic of the session's first price."""
    return records_of("statistics", _statistic(instrument_id, at_ns, StatType.OPENING_PRICE, price_e9, None, None))


def records_of(schema: str, data: bytes) -> Array:
    """Return the records that `data` holds, one after another."""
    return np.frombuffer(bytearray(data), dtype=record_of(schema))


def _statistic(
    instrument_id: int, at_ns: int, kind: int, price_e9: int | None, quantity: int | None, day_ns: int | None
) -> bytes:
    return bytes(
        StatMsg(
            publisher_id=PUBLISHER_ID,
            instrument_id=instrument_id,
            ts_event=at_ns,
            ts_recv=at_ns + LATENCY_NS,
            ts_in_delta=_IN_DELTA_NS,
            ts_ref=_UNDEFINED_TIME if day_ns is None else day_ns,
            price=_UNDEFINED_PRICE if price_e9 is None else price_e9,
            quantity=_UNDEFINED_QUANTITY if quantity is None else quantity,
            stat_type=StatType(kind),
            update_action=StatUpdateAction(StatUpdateAction.NEW),
            stat_flags=_NO_FLAGS if day_ns is None else _FINAL_AND_ACTUAL,
        )
    )
