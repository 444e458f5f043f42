"""How Barchart names NQ futures, series of options and contracts. Pure.

Its series, as its pages list them: ``MC`` are Wednesdays, by their week, and Mondays, by week + 5; ``MM`` are Tuesdays
and Thursdays likewise, ``MQ`` Fridays, ``MQ6`` the end of the month. A quarterly has the name of its future.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from tapeline_simulator.expiries import ROOT, Future, Series

CHICAGO: Final = ZoneInfo("America/Chicago")
_WEEKDAYS: Final = {"A": ("MC", 5), "B": ("MM", 0), "C": ("MC", 0), "D": ("MM", 5)}
"""By the last letter of the exchange's root: what the vendor's begins with, and what it adds to the week."""
_END_OF_MONTH: Final = "MQ6"


def vendor_series(series: Series) -> str:
    """Return the vendor's name of a series, with a two-digit year (``MM7Z26``)."""
    return f"{_vendor_root(series.root)}{series.code[-2]}{_year(series.expires_ns):02}"


def vendor_future(future: Future) -> str:
    """Return the vendor's name of a future (``NQZ26``)."""
    return f"{future.symbol[:-1]}{_year(future.expires_ns):02}"


def short(symbol: str) -> str:
    """Return a name of a series or future with one digit for the year (``MM7Z6``)."""
    return symbol[:-2] + symbol[-1]


def contract_symbol(series: str, strike_points: int, is_call: bool) -> str:
    """Return the vendor's name of a contract of a series (``MM7Z6|25000C``)."""
    return f"{short(series)}|{strike_points}{'C' if is_call else 'P'}"


def chicago(at_ns: int) -> datetime:
    """Return a moment as the exchange's clocks show it."""
    return datetime.fromtimestamp(at_ns // 10**9, UTC).astimezone(CHICAGO)


def _vendor_root(root: str) -> str:
    if root == ROOT:
        return ROOT
    if root == "QNE":
        return _END_OF_MONTH
    if root.startswith("QN"):
        return f"MQ{root[2:]}"
    letters, added = _WEEKDAYS[root[2]]
    return f"{letters}{int(root[1]) + added}"


def _year(at_ns: int) -> int:
    return chicago(at_ns).year % 100
