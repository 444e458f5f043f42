"""The DBN instrument class that the form of a raw symbol tells, where no definition has told it. Pure."""

from __future__ import annotations

import re
from typing import Final

UNKNOWN_CLASS: Final = "?"

_WITH_GLOBEX_SYMBOLS: Final = ("GLBX.MDP3", "TAPELINE.SIM")
"""The simulated market calls its instruments as the exchange does."""
# Raw symbols of CME Globex as Databento writes them.
_FORMS_BY_CLASS: Final = (
    ("T", re.compile(r"UD:.*")),
    ("C", re.compile(r"\S+ C\d+")),
    ("P", re.compile(r"\S+ P\d+")),
    ("S", re.compile(r"\S+-\S+")),
    ("F", re.compile(r"[A-Z0-9]{2,3}[FGHJKMNQUVXZ]\d{1,2}")),
)


def instrument_class(dataset: str, symbol: str) -> str:
    """Return the DBN instrument class that the form of a raw symbol tells, `?` where it tells none."""
    if dataset in _WITH_GLOBEX_SYMBOLS:
        for letter, form in _FORMS_BY_CLASS:
            if form.fullmatch(symbol):
                return letter
    return UNKNOWN_CLASS
