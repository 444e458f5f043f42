"""The vendor's list prices, asked for once a day."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from tapeline.errors import BadData
from tapeline.feed.cache_files import write_durably
from tapeline.feed.prices import UnitPrices, price_document, unit_prices
from tapeline.model.documents import dump, nanoseconds, object_of

SCHEMA: Final = "unit-prices.v1"
HOLD_NS: Final = 86_400_000_000_000


def daily_prices(folder: Path, dataset: str, ask: Callable[[str], UnitPrices], now_ns: int) -> UnitPrices:
    """Return the prices of a dataset that were kept in `folder` less than a day ago, else those that `ask` returns."""
    path = folder / f"{dataset}.json"
    try:
        document = object_of(path.read_bytes(), SCHEMA)
        if 0 <= now_ns - nanoseconds(document, "asked_at") < HOLD_NS:
            return unit_prices(document.get("prices"))
    except (FileNotFoundError, BadData):
        pass  # what is not there, or is damaged, is asked for
    prices = ask(dataset)
    folder.mkdir(parents=True, exist_ok=True)
    write_durably(path, dump({"schema": SCHEMA, "asked_at": str(now_ns), "prices": price_document(prices)}))
    return prices
