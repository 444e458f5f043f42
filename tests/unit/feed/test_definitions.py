"""Definitions become instruments: what they say, and null for what they do not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import databento_dbn as dbn
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.feed.definition_builders import AT, E9, EXPIRY, HOUR, definition, option, records, spread

from tapeline.feed.dbn_records import RTYPE_DEFINITION, layouts
from tapeline.feed.definitions import DefinitionDecoder
from tapeline.model.instrument_codec import decode_instrument, encode_instrument
from tapeline.model.instruments import Instrument, Leg, TickRule, TickStep, product_of_future

DAY = "2026-11-24"
TWO_STEPS = TickRule("assumed", (TickStep(5 * E9, E9 // 20), TickStep(None, E9 // 4)))


def decode(*messages: dbn.InstrumentDefMsg) -> list[Instrument]:
    return DefinitionDecoder("databento", "GLBX.MDP3").decode(records(*messages), DAY)


def one(**fields: object) -> Instrument:
    (instrument,) = decode(definition(**fields))
    return instrument


def test_an_option_says_all_that_its_definition_says() -> None:
    assert decode(option(7)) == [
        Instrument(
            source="databento",
            dataset="GLBX.MDP3",
            trading_day=DAY,
            instrument_id=7,
            raw_symbol="Q4BX6 C25100",
            instrument_class="C",
            asset="Q4B",
            group="QW",
            parent="Q4B.OPT",
            underlying="NQZ6",
            underlying_id=3,
            expiry=EXPIRY,
            activation=AT - 24 * HOUR,
            strike=25_100 * E9,
            style="european",
            tick=TWO_STEPS,
            multiplier=20 * E9,
            currency="USD",
            user_defined=False,
            legs=(),
            update_action="A",
            ts_recv=AT + 1,
        )
    ]


def test_null_and_zero_and_undefined_stay_apart() -> None:
    undefined = one(
        strike_price=2**63 - 1,
        expiration=2**64 - 1,
        activation=2**64 - 1,
        unit_of_measure_qty=2**63 - 1,
        currency="",
        underlying="",
        underlying_id=0,
        cfi="",
        asset="",
        group="",
    )
    said = replace(
        one(),
        strike=None,
        expiry=None,
        activation=None,
        multiplier=None,
        currency=None,
        underlying=None,
        underlying_id=None,
        style=None,
        asset=None,
        group=None,
        parent=None,
        tick=None,
    )
    assert undefined == said
    zero = one(strike_price=0, unit_of_measure_qty=0, expiration=0, activation=0, min_price_increment=0)
    assert (zero.strike, zero.multiplier, zero.expiry, zero.activation) == (0, 0, 0, 0)
    assert zero.tick == TickRule("definition", (TickStep(None, 0),))


@pytest.mark.parametrize(
    ("letter", "parent"),
    [("F", "NQ.FUT"), ("S", "NQ.FUT"), ("C", "NQ.OPT"), ("P", "NQ.OPT"), ("T", "NQ.OPT"), ("M", "NQ.OPT"), ("K", None)],
)
def test_the_parent_comes_from_product_and_class(letter: str, parent: str | None) -> None:
    assert one(asset="NQ", instrument_class=letter).parent == parent


@pytest.mark.parametrize(
    ("cfi", "style"),
    [("OCAFPS", "american"), ("OPEFPS", "european"), ("FFIXSX", None), ("OMXXXX", None), ("OC", None), ("", None)],
)
def test_the_style_is_in_the_third_place_of_the_cfi_code(cfi: str, style: str | None) -> None:
    assert one(cfi=cfi).style == style


def test_a_tick_that_the_definition_says_is_taken_from_it() -> None:
    assert one(min_price_increment=E9 // 100).tick == TickRule("definition", (TickStep(None, E9 // 100),))


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"underlying": "NQZ6"}, TWO_STEPS),
        ({"underlying": "ESH7", "instrument_class": "P"}, TWO_STEPS),
        ({"underlying": "MNQZ6"}, None),
        ({"underlying": "CLZ6"}, None),
        ({"underlying": ""}, None),
        ({"underlying": "NQZ6", "instrument_class": "T"}, None),
    ],
)
def test_the_rule_of_two_steps_is_assumed_only_where_it_is_known(
    fields: dict[str, object], rule: TickRule | None
) -> None:
    assert one(**fields).tick == rule


def test_a_multiplier_that_is_defined_goes_before_the_unit() -> None:
    assert one(contract_multiplier=1_000).multiplier == 1_000 * E9
    assert one(contract_multiplier=0).multiplier == 0


def test_what_is_strange_is_still_an_instrument() -> None:
    strange = one(raw_symbol="", security_update_action="~")
    assert strange.raw_symbol == "7"
    assert strange.update_action is None
    letterless = records(definition()).copy()
    letterless["instrument_class"] = b"\0"
    (instrument,) = DefinitionDecoder("databento", "GLBX.MDP3").decode(letterless, DAY)
    assert (instrument.instrument_class, instrument.parent) == ("?", None)
    assert decode_instrument(encode_instrument(instrument)) == instrument


@given(record=st.binary(min_size=520, max_size=520), legs=st.integers(0, 1))
def test_whatever_a_record_holds_becomes_an_instrument_that_can_be_announced(record: bytes, legs: int) -> None:
    found = np.frombuffer(record, dtype=layouts(3, ts_out=False)[RTYPE_DEFINITION].record).copy()
    found["leg_count"], found["leg_index"] = legs, 0
    (instrument,) = DefinitionDecoder("databento", "GLBX.MDP3").decode(found, DAY)
    assert decode_instrument(encode_instrument(instrument)) == instrument


# -- spreads: one record per leg -------------------------------------------------------------------------------------


def test_a_spread_has_the_legs_of_all_its_records() -> None:
    first, second, third = decode(option(7), *spread(8, 3), option(9))
    assert [first.instrument_id, second.instrument_id, third.instrument_id] == [7, 8, 9]
    assert second.user_defined
    assert second.parent == "Q4B.OPT"
    assert second.legs == (
        Leg(100, "Q4BX6 C25000", "C", "B", 1, 1, None, None),
        Leg(101, "Q4BX6 C25100", "C", "A", 2, 1, None, None),
        Leg(102, "Q4BX6 C25200", "C", "B", 3, 1, None, None),
    )
    assert first.legs == ()


def test_legs_may_come_in_several_batches_and_between_those_of_another_spread() -> None:
    one, other = spread(8, 2), spread(9, 2)
    together = decode(*one, *other)
    decoder = DefinitionDecoder("databento", "GLBX.MDP3")
    assert decoder.decode(records(one[0], other[0]), DAY) == []
    assert decoder.decode(records(one[1], option(7)), DAY) == [together[0], *decode(option(7))]
    assert decoder.decode(records(other[1]), DAY) == [together[1]]


def test_a_spread_that_broke_off_begins_again() -> None:
    legs = spread(8, 3)
    assert decode(*spread(8, 3, leg_delta=5)[:2], *legs) == decode(*legs)
    assert decode(legs[1], legs[2]) == []
    assert decode(legs[0], legs[2], legs[2]) == []


def test_a_spread_whose_definition_names_no_legs_has_none_known() -> None:
    assert one(instrument_class="T").legs is None
    assert one(instrument_class="F").legs == ()


# -- real files ------------------------------------------------------------------------------------------------------


def real_instruments(path: Path) -> list[Instrument]:
    decoder = dbn.DBNDecoder(compression=dbn.Compression.ZSTD, upgrade_policy=dbn.VersionUpgradePolicy.AS_IS)
    decoder.write(path.read_bytes())
    metadata, *messages = decoder.decode()
    layout = layouts(metadata.version, ts_out=False)[RTYPE_DEFINITION].record
    found = np.frombuffer(b"".join(bytes(message) for message in messages), dtype=layout)
    instruments = DefinitionDecoder("databento", metadata.dataset).decode(found, "2023-08-01")
    assert [instrument.raw_symbol for instrument in instruments] == [message.raw_symbol for message in messages]
    return instruments


def test_real_options_on_a_future(real_data: Path) -> None:
    first, second = real_instruments(real_data / "databento/es-opt-glbx-mdp3.definition.dbn.zst")
    assert first == Instrument(
        source="databento",
        dataset="GLBX.MDP3",
        trading_day="2023-08-01",
        instrument_id=4_161_490,
        raw_symbol="ESM4 C4250",
        instrument_class="C",
        asset="ES",
        group="EW",
        parent="ES.OPT",
        underlying="ESM4",
        underlying_id=5_602,
        expiry=1_718_976_600_000_000_000,
        activation=1_647_635_100_000_000_000,
        strike=4_250 * E9,
        style="american",
        tick=TWO_STEPS,
        multiplier=50 * E9,
        currency="USD",
        user_defined=False,
        legs=(),
        update_action="A",
        ts_recv=1_690_848_000_000_000_000,
    )
    assert (second.raw_symbol, second.strike) == ("ESM4 C3550", 3_550 * E9)


def test_real_definitions_of_every_other_kind(real_data: Path) -> None:
    puts = real_instruments(real_data / "databento/esm4-puts.definition.dbn.zst")
    assert {(put.right, put.parent, put.style, put.tick) for put in puts} == {("put", "ES.OPT", "american", TWO_STEPS)}
    future = real_instruments(real_data / "databento/es-fut.definition.dbn.zst")[0]
    assert (future.parent, future.right, future.style, future.strike) == ("ES.FUT", None, None, None)
    assert (future.multiplier, future.tick) == (50 * E9, TickRule("definition", (TickStep(None, E9 // 4),)))
    (equity_option,) = real_instruments(real_data / "databento/stubs/OPRA.PILLAR__test_data.definition.dbn.zst")
    assert (equity_option.parent, equity_option.underlying, equity_option.strike) == ("AAPL.OPT", "AAPL", 250 * E9)
    assert (equity_option.tick, equity_option.multiplier, equity_option.style) == (None, None, None)
    (stock,) = real_instruments(real_data / "databento/stubs/XNAS.ITCH__test_data.definition.dbn.zst")
    assert (stock.parent, stock.expiry, stock.currency, stock.asset) == (None, None, None, None)


@pytest.mark.parametrize(
    ("symbol", "product"),
    [("NQZ6", "NQ"), ("NQZ26", "NQ"), ("MNQH7", "MNQ"), ("6EZ6", "6E"), ("NQZ6-NQH7", None), ("NQ", None), ("", None)],
)
def test_the_product_of_a_future(symbol: str, product: str | None) -> None:
    assert product_of_future(symbol) == product
