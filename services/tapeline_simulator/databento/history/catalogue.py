"""What the Historical API tells about itself: publishers, datasets' schemas, fields of records. Pure."""

from __future__ import annotations

import re
from typing import Any, Final

from databento_dbn import (
    BBOMsg,
    ImbalanceMsg,
    InstrumentDefMsg,
    MBOMsg,
    MBP1Msg,
    MBP10Msg,
    OHLCVMsg,
    StatMsg,
    StatusMsg,
    TradeMsg,
)

ALWAYS: Final = ("mbo", "mbp-1", "trades", "definition", "statistics", "status")
"""Schemas that a dataset has even before there is a record of them."""

_PUBLISHERS: Final = {
    "GLBX.MDP3": (1, "GLBX", "CME Globex MDP 3.0"),
    "XNAS.ITCH": (2, "XNAS", "Nasdaq TotalView-ITCH"),
}
_RECORDS: Final[dict[str, Any]] = {
    "mbo": MBOMsg,
    "mbp-1": MBP1Msg,
    "mbp-10": MBP10Msg,
    "tbbo": MBP1Msg,
    "trades": TradeMsg,
    "bbo-1s": BBOMsg,
    "bbo-1m": BBOMsg,
    "ohlcv-1s": OHLCVMsg,
    "ohlcv-1m": OHLCVMsg,
    "ohlcv-1h": OHLCVMsg,
    "ohlcv-1d": OHLCVMsg,
    "definition": InstrumentDefMsg,
    "statistics": StatMsg,
    "status": StatusMsg,
    "imbalance": ImbalanceMsg,
}
_BITS: Final = {"u": "uint{}_t", "i": "int{}_t"}


def publishers(datasets: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the answer of `metadata.list_publishers`; a dataset that nobody publishes is this simulator's own."""
    listed = []
    for dataset in datasets:
        number, venue, description = _PUBLISHERS.get(dataset, (1, dataset.partition(".")[0], "Synthetic market"))
        listed.append({"publisher_id": number, "dataset": dataset, "venue": venue, "description": description})
    return listed


def fields(schema: str) -> list[dict[str, str]]:
    """Return the answer of `metadata.list_fields` for a schema in DBN: names and C types; raises KeyError for none."""
    described = _RECORDS[schema]._dtypes  # noqa: SLF001 (the official package describes its records nowhere else)
    return [{"name": name, "type": _c_type(code)} for name, code in described if name[0] != "_"]


def _c_type(code: str) -> str:
    match = re.fullmatch(r"([a-zA-Z])(\d+)", code)
    letter, size = (match[1], int(match[2])) if match else (code, 1)
    if letter in _BITS:
        return _BITS[letter].format(size * 8)
    return "char" if size == 1 else f"char[{size}]"
