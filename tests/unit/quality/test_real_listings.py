"""Completeness over the real symbols and ids of a month of options on ES, of which most are user-defined."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import databento_dbn as dbn
import numpy as np
import pytest
from tests.unit.quality.test_completeness import CALL, NOON

from tapeline.feed.instrument_class import instrument_class
from tapeline.model.instruments import Instrument
from tapeline.quality.completeness import Completeness

Listed = list[tuple[date, int, Instrument]]


@pytest.fixture(scope="module")
def listed(real_data: Path) -> Listed:
    """Every listing of the month in order of its first day, as (day, id, instrument)."""
    decoder = dbn.DBNDecoder(compression=dbn.Compression.ZSTD)
    decoder.write((real_data / "databento/es-opt-glbx-mdp3.definition.dbn.zst").read_bytes())
    mappings = decoder.decode()[0].mappings
    assert len(mappings) == 11_294
    found = [
        (interval["start_date"], int(interval["symbol"]), instrument(int(interval["symbol"]), symbol))
        for symbol, intervals in mappings.items()
        for interval in intervals
        if interval["symbol"]
    ]
    return sorted(found, key=lambda each: each[:2])


def instrument(instrument_id: int, symbol: str) -> Instrument:
    letter = instrument_class("GLBX.MDP3", symbol)
    user_defined = symbol.startswith("UD:")
    return replace(
        CALL, instrument_id=instrument_id, raw_symbol=symbol, instrument_class=letter, user_defined=user_defined
    )


def test_outrights_are_expected_and_user_defined_spreads_counted(listed: Listed) -> None:
    completeness = Completeness("databento", "GLBX.MDP3/ES.OPT", "2023-08-31", 0)
    symbols: dict[int, str] = {}
    for _, instrument_id, instrument in listed:
        completeness.define(instrument)
        symbols[instrument_id] = instrument.raw_symbol
    user_defined = [symbol for symbol in symbols.values() if symbol.startswith("UD:")]
    result = completeness.result(NOON)
    assert result.expected == 1_944
    assert len(symbols) == 10_999
    assert result.user_defined == len(user_defined) == 10_999 - 1_944

    outrights = np.array([each for each, symbol in symbols.items() if not symbol.startswith("UD:")])
    completeness.quote(outrights[5:])
    completeness.quote(np.array([each for each, symbol in symbols.items() if symbol.startswith("UD:")]))
    result = completeness.result(NOON)
    assert result.missing_symbols == tuple(sorted(symbols[each] for each in outrights[:5].tolist()))
    assert (result.quoted, result.unlisted) == (1_939, 0)


def test_an_id_that_was_given_to_another_has_not_quoted_as_the_new_one(listed: Listed) -> None:
    completeness = Completeness("databento", "GLBX.MDP3/ES.OPT", "2023-08-31", 0)
    first_symbols: dict[int, str] = {}
    given_again = set()
    for _, instrument_id, instrument in listed:
        # As if every spread were an outright: only so does its quote count.
        completeness.define(replace(instrument, instrument_class="C", user_defined=False))
        if instrument_id not in first_symbols:
            completeness.quote(np.array([instrument_id]))
        if first_symbols.setdefault(instrument_id, instrument.raw_symbol) != instrument.raw_symbol:
            given_again.add(instrument_id)
    assert len(given_again) == 290
    result = completeness.result(NOON)
    assert (result.expected, result.missing, result.unlisted) == (10_999, 290, 0)
