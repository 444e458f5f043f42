"""What futures are worth now, from the rows of pressure: read only while there are chains that ask for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import orjson

from tapeline.errors import BadData
from tapeline.model.chains import UnderlyingPrice

WINDOW_MS: Final = 1_000
"""Rows of these windows are read: as often as chains are told of."""

_WINDOW_BYTES: Final = b'"window_ms":%d,' % WINDOW_MS
_MAX_AGE_NS: Final = 60 * 10**9
"""An older price is none. How far price and quotes may be apart is for the quality rules to say."""

Future = tuple[str, str]
"""A source and a raw symbol."""
Priced = list[tuple[Future, UnderlyingPrice]]


class Underlyings:
    """The newest mids of the futures that are asked for; `begin` is called when the first one is."""

    def __init__(self, begin: Callable[[], None]) -> None:
        self._begin = begin
        self._prices: dict[Future, UnderlyingPrice] = {}
        self._wanted: frozenset[str] = frozenset()

    def want(self, symbols: Iterable[str]) -> None:
        """Ask for futures by raw symbol."""
        if new := frozenset(symbols) - self._wanted:
            is_first = not self._wanted
            self._wanted |= new
            if is_first:
                self._begin()

    def decode(self, value: bytes) -> Priced | None:
        """Return the prices in a message of pressure, None if it has none that is asked for; in any thread.

        Raises BadData where it is no such message.
        """
        if _WINDOW_BYTES not in value:
            return None
        try:
            message = orjson.loads(value)
            source, rows = message["source"], message["rows"]
            return [((source, row["symbol"]), _price(row)) for row in rows if self._is_wanted(row)] or None
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise BadData("rows", f"must be those of pressure: {type(error).__name__} {error}") from None

    def take(self, _: int, prices: Priced) -> None:
        """Take in what `decode` returned."""
        for future, price in prices:
            known = self._prices.get(future)
            if known is None or (known.at or 0) <= (price.at or 0):
                self._prices[future] = price

    def prices(self, at_ns: int) -> Mapping[Future, UnderlyingPrice]:
        """Return what is known at `at_ns`."""
        return {future: price for future, price in self._prices.items() if at_ns - (price.at or 0) <= _MAX_AGE_NS}

    def _is_wanted(self, row: Mapping[str, object]) -> bool:
        return (
            row["window_ms"] == WINDOW_MS
            and row["symbol"] in self._wanted
            and row["book_valid"] is True
            and row["weighted_mid"] is not None
        )


def _price(row: Mapping[str, object]) -> UnderlyingPrice:
    at = int(str(row["window_start"])) + WINDOW_MS * 10**6
    return UnderlyingPrice(value=int(str(row["weighted_mid"])), source="quote", at=at)
