"""Money is exact, and never rounded in the user's favour."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import databento_dbn
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeline.errors import BadData
from tapeline.feed.prices import (
    GIB,
    RECORD_BYTES,
    cost_of,
    dollars,
    micro_usd,
    price_document,
    record_bytes,
    unit_prices,
    usd_text,
)

# as the vendor's own structs, each of the newest version
STRUCTS = {
    "mbo": databento_dbn.MBOMsg,
    "trades": databento_dbn.TradeMsg,
    "mbp-1": databento_dbn.MBP1Msg,
    "tbbo": databento_dbn.MBP1Msg,
    "mbp-10": databento_dbn.MBP10Msg,
    "bbo-1s": databento_dbn.BBOMsg,
    "bbo-1m": databento_dbn.BBOMsg,
    "cmbp-1": databento_dbn.CMBP1Msg,
    "status": databento_dbn.StatusMsg,
    "statistics": databento_dbn.StatMsg,
    "definition": databento_dbn.InstrumentDefMsg,
    "imbalance": databento_dbn.ImbalanceMsg,
    "ohlcv-1s": databento_dbn.OHLCVMsg,
    "ohlcv-1d": databento_dbn.OHLCVMsg,
}


def test_a_gigabyte_of_the_price_list_is_two_to_the_thirtieth() -> None:
    # A published example: so many bytes of trades at 28.00 came to this amount.
    assert cost_of(99_219_648, micro_usd("28.00")) == micro_usd("2.587353944778")


@pytest.mark.parametrize("schema", STRUCTS)
def test_billed_bytes_are_those_of_the_vendors_records(schema: str) -> None:
    assert record_bytes(schema) == STRUCTS[schema].size_hint


def test_every_schema_of_the_vendor_has_a_size() -> None:
    assert set(RECORD_BYTES) == {str(schema) for schema in databento_dbn.Schema.variants()}


def test_an_unknown_schema_is_named_with_the_known_ones() -> None:
    with pytest.raises(BadData, match=r"mbo, .*is 'level-9'"):
        record_bytes("level-9")


@given(st.integers(0, 2**50), st.integers(0, 10**9))
def test_a_cost_is_rounded_up_by_less_than_a_micro_dollar(bytes_: int, price: int) -> None:
    exact = Fraction(bytes_ * price, GIB)
    assert exact <= cost_of(bytes_, price) < exact + 1


@given(st.decimals(0, 10**9, places=9))
def test_an_amount_is_taken_as_it_was_written(amount: Decimal) -> None:
    micro = micro_usd(str(amount))
    assert 0 <= micro - amount * 1_000_000 < 1
    assert micro_usd(usd_text(micro)) == micro


@given(st.integers(0, 10**12))
def test_a_float_of_the_vendor_does_not_drift(micro: int) -> None:
    assert micro_usd(micro / 1_000_000) == micro


@pytest.mark.parametrize("amount", ["free", None, True, -1, "NaN", float("inf"), 1e300])
def test_what_is_no_amount_is_refused(amount: object) -> None:
    with pytest.raises(BadData, match="amount"):
        micro_usd(amount)


@pytest.mark.parametrize(
    ("micro", "told"),
    [(0, "$0.00"), (1, "$0.000001"), (53_100, "$0.0531"), (500_000, "$0.50"), (1_234_560_000, "$1,234.56")],
)
def test_dollars_for_people(micro: int, told: str) -> None:
    assert dollars(micro) == told


def test_prices_are_read_as_the_vendor_answers_and_can_be_kept() -> None:
    prices = unit_prices(
        [
            {"mode": "historical-streaming", "unit_prices": {"mbo": 1.1, "trades": 28}},
            {"mode": "live", "unit_prices": {"mbo": 1.32}},
        ]
    )
    assert prices.price("historical-streaming", "trades") == 28_000_000
    assert prices.price("live", "mbo") == 1_320_000
    assert prices.price("live", "trades") is None
    assert prices.price("batch", "mbo") is None
    assert unit_prices(price_document(prices)) == prices


@pytest.mark.parametrize(
    "document", [None, {}, [1], [{"mode": "live"}], [{"mode": "live", "unit_prices": {"mbo": "?"}}]]
)
def test_what_is_no_price_list_is_refused(document: object) -> None:
    with pytest.raises(BadData):
        unit_prices(document)
