"""Write closed windows of option flow as messages (schemas/option-flow.v1.json)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import orjson

from tapeline.orderflow.contracts import Expiry
from tapeline.orderflow.flow_windows import ClosedWindow
from tapeline.orderflow.kind_flow import FlowRow
from tapeline.orderflow.partition import MESSAGE_BYTES, RowMessage

SCHEMA: Final = "option-flow.v1"
REASONS: Final = ("gap", "late")

_SIDES: Final = ("buy", "sell", "unsigned")
_RIGHTS: Final = (("call", True), ("put", False))
_TAIL: Final = b"]}"
_DECIMALS: Final = 9
_E9: Final = 10**9


def messages_of(
    rows: Iterable[FlowRow], source: str, stream: str, kind: str, windows_ms: Sequence[int]
) -> list[RowMessage]:
    """Return messages of at most MESSAGE_BYTES, each of one expiry and with its key, in the order of first rows."""
    of_expiry: dict[Expiry, list[bytes]] = {}
    for expiry, window in rows:
        of_expiry.setdefault(expiry, []).append(orjson.dumps(_document(window, windows_ms[window.level])))
    messages = []
    for expiry, encoded in of_expiry.items():
        header = {"schema": SCHEMA, "source": source, "stream": stream, "kind": kind}
        of_whom = {"key": expiry.key, "underlying": expiry.underlying, "expiry": str(expiry.at)}
        head = orjson.dumps(header | of_whom)[:-1] + b',"rows":['
        room = MESSAGE_BYTES - len(head) - len(_TAIL)
        messages += [
            RowMessage(expiry.key, b"".join([head, b",".join(some), _TAIL]), len(some)) for some in _cut(encoded, room)
        ]
    return messages


def _cut(rows: list[bytes], room: int) -> list[list[bytes]]:
    parts: list[list[bytes]] = []
    left = 0
    for row in rows:
        if not parts or left < len(row) + 1:
            parts.append([])
            left = room
        parts[-1].append(row)
        left -= len(row) + 1
    return parts


def _document(window: ClosedWindow, window_ms: int) -> dict[str, Any]:
    sums = window.sums
    metrics: dict[str, Any] = {
        f"{right}_{side}_volume": sums.volume(is_call, number)
        for right, is_call in _RIGHTS
        for number, side in enumerate(_SIDES)
    }
    metrics |= {
        "user_defined_volume": sums.user_defined_volume,
        "premium_call": sums.premium(True),
        "premium_put": sums.premium(False),
        "delta_flow": _rounded(sums.delta_flow),
        "vega_flow": _rounded(sums.vega_flow),
        "delta_missing_volume": sums.delta_missing_volume,
        "strikes": [
            {"strike": strike / _E9, "right": "call" if is_call else "put"}
            | {f"{side}_volume": lots[number] for number, side in enumerate(_SIDES)}
            for (strike, is_call), lots in sorted(sums.volumes.items(), key=lambda each: (each[0][0], not each[0][1]))
        ],
        "chain_as_of": None if sums.chain_as_of is None else str(sums.chain_as_of),
        "underlying_price": None if sums.underlying_price is None else sums.underlying_price / _E9,
    }
    if sums.is_touched:
        metrics = dict.fromkeys(metrics)
    is_reason = {"gap": sums.is_touched, "late": window.late_count > 0}
    return {
        "window_start": str(sums.start),
        "window_ms": window_ms,
        "revision": 1,
        "basis": "live",
        **metrics,
        "late_count": window.late_count,
        "trade_valid": not sums.is_touched,
        "reasons": [reason for reason in REASONS if is_reason[reason]],
    }


def _rounded(value: float | None) -> float | None:
    """Return a value with nine decimals, and no negative zero."""
    return None if value is None else round(value, _DECIMALS) + 0.0
