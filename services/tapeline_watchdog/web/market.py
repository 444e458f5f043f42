"""What the page shows of the market: rows of pressure and option flow, and ladders of chains. Pure.

Prices that are integers on the tape become exact decimal texts: they may pass what a browser's numbers hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

Document = dict[str, Any]
Message = Mapping[str, Any]

CHART_WINDOW_MS: Final = 1_000
"""The windows of pressure that are shown."""
CHART_WINDOWS: Final = 120
"""So many of them, one after the other, make a chart."""
_STRIKES: Final = 12
"""On each side of the money."""
_CHAIN_FIELDS: Final = (
    "key",
    "source",
    "vendor",
    "mode",
    "underlying",
    "expiry",
    "as_of",
    "delay_s",
    "underlying_price",
    "forward",
    "expected",
    "expected_from",
    "received",
    "complete",
    "flags",
    "verdict",
)
_CONTRACT_FIELDS: Final = (
    "bid",
    "ask",
    "volume",
    "volume_is_stale",
    "open_interest",
    "iv_mid",
    "delta",
    "flags",
)
_FLOW_FIELDS: Final = (
    "window_start",
    "window_ms",
    "revision",
    "basis",
    "call_buy_volume",
    "call_sell_volume",
    "call_unsigned_volume",
    "put_buy_volume",
    "put_sell_volume",
    "put_unsigned_volume",
    "premium_call",
    "premium_put",
    "delta_flow",
    "vega_flow",
    "delta_missing_volume",
    "trade_valid",
    "reasons",
)


def decimal_text(value_e9: int | None) -> str | None:
    """Return an integer with exponent -9 as decimal text, with all its decimals and no others; None of None."""
    if value_e9 is None:
        return None
    whole, part = divmod(abs(value_e9), 1_000_000_000)
    decimals = f"{part:09d}".rstrip("0")
    return f"{'-' if value_e9 < 0 else ''}{whole}{'.' if decimals else ''}{decimals}"


def pressure_rows(message: Message) -> Iterator[tuple[str, Document]]:
    """Yield key and row for each row of a message of md.pressure.v1 that charts are made of."""
    head = {name: message[name] for name in ("source", "stream", "kind")}
    for row in message["rows"]:
        if row["window_ms"] != CHART_WINDOW_MS:
            continue
        yield (
            "/".join((*head.values(), row["symbol"])),
            {
                **head,
                "symbol": row["symbol"],
                "window_start": row["window_start"],
                "window_ms": row["window_ms"],
                "revision": row["revision"],
                "basis": row["basis"],
                "mid": decimal_text(row["weighted_mid"]),
                "spread": decimal_text(row["spread_time_weighted"]),
                "order_flow_imbalance": row["order_flow_imbalance"],
                "queue_imbalance": row["queue_imbalance_time_weighted"],
                "buy_volume": row["buy_volume"],
                "sell_volume": row["sell_volume"],
                "cumulative_volume_delta": row["cumulative_volume_delta"],
                "is_valid": row["book_valid"] and row["trade_valid"],
                "reasons": row["reasons"],
            },
        )


def flow_rows(message: Message) -> Iterator[tuple[str, Document]]:
    """Yield key and row for each row of a message of md.option-flow.v1."""
    head = {name: message[name] for name in ("source", "stream", "kind", "key", "underlying", "expiry")}
    for row in message["rows"]:
        key = f"{'/'.join(head.values())}/{row['window_ms']}"
        yield key, head | {name: row[name] for name in _FLOW_FIELDS}


def ladder(chain: Message) -> tuple[str, Document]:
    """Return key and ladder of a message of md.chains.v1: its strikes around the money, highest first."""
    by_strike: dict[float, dict[str, Document]] = {}
    for contract in chain["contracts"]:
        row = {name: contract.get(name) for name in _CONTRACT_FIELDS}
        by_strike.setdefault(contract["strike"], {}).setdefault(contract["right"], row)
    ordered = sorted(by_strike)
    middle = _middle(chain, ordered)
    selection = chain.get("selection")
    return chain["key"], {
        **{name: chain.get(name) for name in _CHAIN_FIELDS},
        "chosen_because": None if selection is None else selection["reason"],
        "strikes_in_all": len(ordered),
        "strikes": [
            {
                "strike": ordered[at],
                "is_at_the_money": at == middle,
                "call": by_strike[ordered[at]].get("call"),
                "put": by_strike[ordered[at]].get("put"),
            }
            for at in reversed(range(max(0, middle - _STRIKES), min(len(ordered), middle + _STRIKES + 1)))
        ],
    }


def _middle(chain: Message, strikes: Sequence[float]) -> int:
    """Return the index of the strike nearest to the money; of the one in the middle, where that is not known."""
    known = [chain[name]["value"] for name in ("forward", "underlying_price") if chain[name] is not None]
    if not known or not strikes:
        return len(strikes) // 2
    return min(range(len(strikes)), key=lambda at: abs(strikes[at] - known[0]))
