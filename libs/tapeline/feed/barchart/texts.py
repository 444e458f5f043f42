"""Barchart's formatted texts as exact integers, without floats: ``1,234.50``, ``unch``, ``N/A``, ``486.75s``. Pure.

A value may differ from another by one character only, so that everything that is not exactly of a known form is an
error. Texts repeat within a chain and from one to the next, so that each is read once.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Literal

from tapeline.errors import BadData
from tapeline.model.chains import NULL
from tapeline.model.columns import INT64_MAX

MISSING: Final = "N/A"
UNCHANGED: Final = "unch"
SETTLED: Final = "s"
"""What follows a last price that is a settlement."""

_NUMBER: Final = re.compile(r"([+-]?)(\d{1,3}(?:,\d{3})+|\d+)(?:\.(\d{1,9}))?", re.ASCII)
_STRIKE: Final = re.compile(r"([\d,.]+)([CP]?)", re.ASCII)
_TIME_OF_DAY: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d) CT", re.ASCII)
_DATE: Final = re.compile(r"(\d\d)/(\d\d)/(\d\d)", re.ASCII)
_REMEMBERED: Final = 65_536


@lru_cache(_REMEMBERED)
def price(text: str) -> int:
    """Return a price (exponent -9), NULL for one that is missing, 0 for ``unch``. Raises BadData."""
    if text == MISSING:
        return NULL
    if text == UNCHANGED:
        return 0
    return _scaled(text, 9)


@lru_cache(_REMEMBERED)
def quote(text: str) -> int:
    """Return a bid or ask as `price` does; one of 0 is none, NULL. Raises BadData."""
    return price(text) or NULL


@lru_cache(_REMEMBERED)
def last_price(text: str) -> tuple[int, bool]:
    """Return a last price (exponent -9, or NULL), and whether it is a settlement. Raises BadData."""
    is_settled = text.endswith(SETTLED)
    return price(text[:-1] if is_settled else text), is_settled


@lru_cache(_REMEMBERED)
def count(text: str) -> int:
    """Return a number of contracts, or NULL. Raises BadData."""
    number = NULL if text == MISSING else _scaled(text, 0)
    if number < 0 and number != NULL:
        raise BadData("text", f"must not be negative, is {text!r}")
    return number


@lru_cache(_REMEMBERED)
def strike(text: str) -> tuple[int, Literal["C", "P", ""]]:
    """Return a strike (exponent -9, above 0) and the letter of its right, "" where it has none. Raises BadData."""
    form = _STRIKE.fullmatch(text)
    value = 0 if form is None else _scaled(form[1], 9)
    if form is None or value <= 0:
        raise BadData("text", f"must be a strike such as 21,350.00C, is {text!r}")
    letter: Literal["C", "P", ""] = form[2]  # type: ignore[assignment]
    return value, letter


@lru_cache(_REMEMBERED)
def real(text: str) -> float:
    """Return a number as a float; NaN for a missing one. Raises BadData."""
    value = price(text)
    return float("nan") if value == NULL else value / 1e9


@lru_cache(_REMEMBERED)
def volatility(text: str) -> float:
    """Return a volatility in per cent (``21.36%``) as a fraction; one of 0 is none, NaN. Raises BadData."""
    return real(text.removesuffix("%")) / 100 or float("nan")


@lru_cache(_REMEMBERED)
def trade_time(text: str) -> tuple[Literal["day", "s"] | None, int]:
    """Return how precise a time of trade is, and what its text tells of it. Raises BadData.

    ``06/09/25`` is a day: midnight UTC of that date, ns since the epoch. ``07:28 CT`` is a second, of which the text
    tells the minute of Chicago's day. Nothing is told by ``N/A``: (None, 0).
    """
    if text == MISSING:
        return None, 0
    if (form := _TIME_OF_DAY.fullmatch(text)) is not None:
        return "s", int(form[1]) * 60 + int(form[2])
    if (form := _DATE.fullmatch(text)) is not None:
        try:
            day = datetime(2000 + int(form[3]), int(form[1]), int(form[2]), tzinfo=UTC)
        except ValueError:
            pass
        else:
            return "day", int(day.timestamp()) * 10**9
    raise BadData("text", f"must be a date such as 06/09/25 or a time such as 07:28 CT, is {text!r}")


def _scaled(text: str, digits: int) -> int:
    form = _NUMBER.fullmatch(text)
    fraction = "" if form is None else form[3] or ""
    if form is None or len(fraction) > digits:
        raise BadData(
            "text",
            f"must be a number such as 1,234.50, is {text!r}"
            if digits
            else f"must be a whole number such as 1,234, is {text!r}",
        )
    number = int(form[2].replace(",", "") + fraction + "0" * (digits - len(fraction)))
    if number > INT64_MAX:
        raise BadData("text", f"must fit 64 bits, is {text!r}")
    return -number if form[1] == "-" else number
