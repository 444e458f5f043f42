"""The form of a raw symbol tells what it is."""

from __future__ import annotations

import pytest

from tapeline.feed.instrument_class import instrument_class


@pytest.mark.parametrize(
    ("symbol", "letter"),
    [
        ("ESM4 P5230", "P"),
        ("NQH6 C21000", "C"),
        ("UD:1V: GN 2404921", "T"),
        ("ESM4-ESU4", "S"),
        ("ESH4", "F"),
        ("MNQH26", "F"),
        ("6EM4", "F"),
        ("M2KZ5", "F"),
        ("ES.c.0", "?"),
        ("AAPL", "?"),
        ("1234", "?"),
    ],
)
def test_the_form_of_a_cme_symbol_tells_its_class(symbol: str, letter: str) -> None:
    assert instrument_class("GLBX.MDP3", symbol) == letter
    assert instrument_class("TAPELINE.SIM", symbol) == letter


def test_forms_of_other_markets_tell_nothing() -> None:
    assert instrument_class("XNAS.ITCH", "ESH4") == "?"
