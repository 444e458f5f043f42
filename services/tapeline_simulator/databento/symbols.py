"""What a raw symbol of CME says about its instrument, where there is no definition. Pure."""

from __future__ import annotations

import re
from typing import Final

_MONTH_AND_YEAR: Final = r"[FGHJKMNQUVXZ]\d{1,2}"
_FUTURE: Final = re.compile(rf"([A-Z0-9]{{1,3}}?){_MONTH_AND_YEAR}(-[A-Z0-9]{{1,3}}?{_MONTH_AND_YEAR})?")
_OPTION: Final = re.compile(rf"([A-Z0-9]{{1,3}}?){_MONTH_AND_YEAR} ([CP])\d+(\.\d+)?")
_UNKNOWN_CLASS: Final = "?"


def parent_of(raw_symbol: str) -> str:
    """Return the parent of a future (``ESM4``: ``ES.FUT``), calendar spread or option; empty where it is neither."""
    if found := _FUTURE.fullmatch(raw_symbol):
        return f"{found[1]}.FUT"
    if found := _OPTION.fullmatch(raw_symbol):
        return f"{found[1]}.OPT"
    return ""


def class_of(raw_symbol: str) -> str:
    """Return DBN's letter for the class of the instrument: F, S (a spread of futures), C or P; ``?`` where unknown."""
    if found := _FUTURE.fullmatch(raw_symbol):
        return "S" if found[2] else "F"
    if found := _OPTION.fullmatch(raw_symbol):
        return found[2]
    return _UNKNOWN_CLASS
