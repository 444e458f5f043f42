"""The market-data tape on Kafka. ``tapeline.consume`` reads it; nothing heavy is imported until it is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tapeline.bus.consumer import consume
    from tapeline.model.tables import to_numpy, to_pandas, to_polars

__all__ = ["consume", "to_numpy", "to_pandas", "to_polars"]

_HOMES = {
    "consume": "tapeline.bus.consumer",
    "to_numpy": "tapeline.model.tables",
    "to_pandas": "tapeline.model.tables",
    "to_polars": "tapeline.model.tables",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tapeline' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
