"""Chains in memory and on the wire: what comes back, what is refused, and how numbers look."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from jsonschema import Draft202012Validator
from tests.unit.model.chain_strategies import chains, prices, same_chain

from tapeline.errors import BadData, Bug
from tapeline.model.chain_codec import decode_chain, encode_chain
from tapeline.model.chain_rows import ALL_FIELDS, decimal_number, scaled_number
from tapeline.model.chains import ABSENT, NULL, Chain, Contracts, chain_key, decimal_text

SCHEMAS: Final = Path(__file__).parents[3] / "schemas"
VALIDATOR: Final = Draft202012Validator(orjson.loads((SCHEMAS / "option-chain.v1.json").read_bytes()))
BEST: Final = orjson.loads((SCHEMAS / "golden" / "option-chain.v1.best.json").read_bytes())


@settings(deadline=None)
@given(chain=chains())
def test_every_encoded_chain_is_accepted_and_comes_back(chain: Chain) -> None:
    value = encode_chain(chain)
    VALIDATOR.validate(orjson.loads(value))
    assert same_chain(decode_chain(value), chain)


@given(price=prices)
def test_a_price_is_its_exact_decimal_text_on_the_wire(price: int) -> None:
    text = orjson.dumps(decimal_number(price, "price")).decode()
    assert Decimal(text) == Decimal(price).scaleb(-9)
    assert scaled_number(json.loads(text), "price") == price


@pytest.mark.parametrize("price", [10**15 + 1, -(10**15) - 1, 10**18, 123_456_789_012_345_678])
def test_a_price_of_more_digits_than_a_number_holds_is_refused(price: int) -> None:
    with pytest.raises(BadData, match=r"price: must have at most 15 significant digits"):
        decimal_number(price, "price")


@pytest.mark.parametrize("number", [0.12345678912, 1e9, -1e9, float("inf"), float("nan")])
def test_a_number_that_no_price_is_written_as_is_refused(number: float) -> None:
    with pytest.raises(BadData, match=r"^price: must"):
        scaled_number(number, "price")


_WRONG: Final = (None, True, -1, 2**63, 1.5, 10**9, "", "x", [], ["x"], [None], [[1]], {}, {"x": 1})


@pytest.mark.parametrize("field", ["vendor_symbol", "right", "strike", "flags", *ALL_FIELDS])
def test_decoder_and_schema_refuse_the_same_cells(field: str) -> None:
    for wrong in _WRONG:
        document = copy.deepcopy(BEST)
        document["contracts"][1][field] = wrong
        _agree(document, field)
    document = copy.deepcopy(BEST)
    document["contracts"][1].pop(field, None)
    _agree(document, field)


def _agree(document: dict[str, Any], field: str) -> None:
    accepted = VALIDATOR.is_valid(document)
    try:
        decode_chain(orjson.dumps(document))
        fault = None
    except BadData as error:
        fault = error
    if accepted:
        # A schema cannot compare fields: another strike or right needs another symbol.
        if field in ("strike", "right") and fault is not None and fault.field == "contracts[1].symbol":
            return
        assert fault is None, (document["contracts"][1].get(field), str(fault))
    else:
        assert fault is not None, document["contracts"][1].get(field)
        assert fault.field in (f"contracts[1].{field}", f"contracts.{field}")


def test_a_symbol_that_is_not_the_contract_s_is_refused() -> None:
    document = copy.deepcopy(BEST)
    document["contracts"][1]["symbol"] = "NQZ6 2026-11-25T21:00Z P25050"
    with pytest.raises(BadData, match=r"contracts\[1\]\.symbol: must be 'NQZ6 2026-11-25T21:00Z P25000'"):
        decode_chain(orjson.dumps(document))


def test_null_and_absent_are_kept_apart() -> None:
    document = copy.deepcopy(BEST)
    del document["contracts"][0]["bid"]
    contracts = decode_chain(orjson.dumps(document)).contracts
    assert contracts.integers("bid").tolist() == [ABSENT, NULL]
    assert contracts.integers("open").tolist() == [ABSENT, ABSENT]
    assert contracts.known("bid").tolist() == [False, False]
    assert contracts.integers("volume").tolist() == [120, 0]
    assert np.isnan(contracts.points("bid")).all()


def test_a_chain_is_named_alike_by_every_source() -> None:
    assert chain_key("NQZ6", 1_795_640_400 * 10**9) == "NQZ6/2026-11-25T21:00:00Z"
    assert decode_chain(orjson.dumps(BEST)).symbols()[0] == "NQZ6 2026-11-25T21:00Z C25000"
    assert [decimal_text(value) for value in (0, 486_750_000_000, -5 * 10**7, 10**9)] == ["0", "486.75", "-0.05", "1"]


def test_columns_of_different_length_are_a_bug() -> None:
    with pytest.raises(Bug, match="differ in length"):
        Contracts(np.zeros(2, dtype=np.int64), np.zeros(2, dtype=bool), ("a",), {}, np.zeros(2, dtype=np.uint32))
