"""Make a chain of what the board shows of its contracts now. Fields are explained in assembly.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Final

import numpy as np

from tapeline.model.chains import (
    ABSENT,
    ABSENT_CODE,
    NULL,
    NULL_CODE,
    PRECISIONS,
    Chain,
    Contracts,
    UnderlyingPrice,
    flag_bit,
)
from tapeline.model.frames import Array
from tapeline.orderflow.board import (
    ASK,
    ASK_SIZE,
    BID,
    BID_SIZE,
    DOUBTED,
    IS_SAVED,
    IS_TRADING,
    LAST,
    OPEN_INTEREST,
    OPEN_INTEREST_AT,
    QUOTE_AT,
    RECEIVED_AT,
    SETTLEMENT,
    SETTLEMENT_AT,
    TRADE_AT,
    UNKNOWN,
    VOLUME,
    VOLUME_AT,
)
from tapeline.orderflow.contracts import Expiry, Listed
from tapeline.orderflow.frame_columns import Int64s

NEVER: Final = -(2**62)

_SHOWN: Final = {
    "bid": BID,
    "ask": ASK,
    "bid_size": BID_SIZE,
    "ask_size": ASK_SIZE,
    "quote_at": QUOTE_AT,
    "last": LAST,
    "trade_at": TRADE_AT,
    "settlement": SETTLEMENT,
    "settlement_at": SETTLEMENT_AT,
    "open_interest": OPEN_INTEREST,
    "open_interest_at": OPEN_INTEREST_AT,
    "volume": VOLUME,
}
_NS: Final = PRECISIONS.index("ns")


@dataclass(slots=True)
class LiveChain:
    """One source's chain of an expiry: the slots of its contracts, in the order of the listing of this `version`."""

    source: str
    expiry: Expiry
    published_at: int = NEVER
    version: int = -1
    slots: Int64s = field(default_factory=lambda: np.empty(0, dtype=np.int64))


def build_chain(
    live: LiveChain,
    listed: Listed,
    cells: Int64s,
    *,
    trading_day: str,
    now_ns: int,
    underlying_price: UnderlyingPrice | None,
    has_gap: bool,
    is_complete: bool,
) -> Chain | None:
    """Return the chain of `cells`, the board's (WIDTH, contracts), None before its first quote and after its expiry."""
    if not len(listed.symbols):
        return None
    newest = int(cells[RECEIVED_AT].argmax())
    fetched_at, as_of = int(cells[RECEIVED_AT, newest]), int(cells[QUOTE_AT].max())
    is_saved = bool(cells[IS_SAVED, newest])
    known_at = fetched_at if is_saved else max(fetched_at, now_ns)
    if as_of <= ABSENT or known_at >= live.expiry.at:
        return None
    statuses = cells[IS_TRADING][cells[IS_TRADING] != UNKNOWN]
    flags = {"gap": has_gap, "not_trading": len(statuses) > 0 and not statuses.any()}
    return Chain(
        source=live.source,
        vendor=listed.vendor or live.source,
        underlying=live.expiry.underlying,
        expiry=live.expiry.at,
        series=None if listed.parent is None else listed.parent.removesuffix(".OPT"),
        vendor_series=listed.vendor_series,
        style=listed.style,
        settlement_method=None,
        multiplier=listed.multiplier,
        currency=listed.currency,
        mode="saved" if is_saved else "live",
        as_of=as_of,
        fetched_at=fetched_at,
        published_at=now_ns,
        delay_s=0.0,
        underlying_price=underlying_price,
        expected=len(listed.symbols),
        expected_from="definitions",
        complete=is_complete,
        contracts=Contracts(
            strike=listed.strike,
            is_call=listed.is_call,
            vendor_symbols=listed.symbols,
            columns=_columns(cells, trading_day),
            flags=np.where(
                (cells[DOUBTED] == 1) & (cells[QUOTE_AT] > ABSENT), np.uint32(flag_bit("stale_quote")), np.uint32(0)
            ),
        ),
        flags=tuple(name for name, is_set in flags.items() if is_set),
    )


def _columns(cells: Int64s, trading_day: str) -> dict[str, Array]:
    columns: dict[str, Array] = {name: cells[row] for name, row in _SHOWN.items()}
    has_traded = cells[TRADE_AT] > ABSENT
    columns["last_is_settlement"] = np.where(has_traded, 0, ABSENT_CODE).astype(np.int8)
    columns["trade_precision"] = np.where(has_traded, _NS, ABSENT_CODE).astype(np.int8)
    cleared_at = cells[VOLUME_AT]
    is_earlier = np.where(cleared_at == NULL, NULL_CODE, cleared_at < _midnight_ns(trading_day))
    columns["volume_is_stale"] = np.where(cleared_at == ABSENT, ABSENT_CODE, is_earlier).astype(np.int8)
    return columns


def _midnight_ns(day: str) -> int:
    return int(datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC).timestamp()) * 10**9
