"""The licensed API: its envelope, its digits, and what it does not prove."""

from __future__ import annotations

import json
import math
from datetime import datetime
from typing import Any

import pytest
from tests.unit.feed.barchart.answers import FETCHED_AT, SERIES

from tapeline.errors import BadData
from tapeline.feed.barchart.on_demand import parse_on_demand, parse_on_demand_quote
from tapeline.model.chain_codec import decode_chain, encode_chain
from tapeline.model.chains import ABSENT, NULL, Chain, UnderlyingPrice

S = 10**9


def record(strike: int, right: str, **cells: Any) -> dict[str, Any]:
    return {
        "symbol": f"MC2M5|{strike}{right[0]}",
        "root": "MC2",
        "contract": "MC2M25",
        "type": right,
        "strike": strike,
        "expirationDate": "2025-06-11",
        "date": "2025-06-10",
        "impliedVolatility": "21.36",
        "delta": "-0.4187",
        "open": "486.75",
        "high": 500.05,
        "last": 486.1,
        "volume": "12",
        "bid": 0,
        "ask": 487,
    } | cells


def envelope(*records: dict[str, Any], code: int = 200, message: str = "Success.") -> bytes:
    return json.dumps({"status": {"code": code, "message": message}, "results": list(records) or None}).encode()


def parsed(payload: bytes, **said: Any) -> Chain:
    return parse_on_demand(
        payload, SERIES, source="barchart", mode="live", fetched_at=FETCHED_AT, published_at=FETCHED_AT, **said
    )


def test_numbers_and_texts_of_numbers_are_read_by_their_digits() -> None:
    chain = parsed(envelope(record(21_000, "Call"), record(21_000, "Put", last=None, high="0.1")))
    columns = {name: values.tolist() for name, values in chain.contracts.columns.items()}
    assert columns["open"] == [486_750_000_000] * 2
    assert columns["high"] == [500_050_000_000, 100_000_000]
    assert columns["last"] == [486_100_000_000, NULL]
    assert columns["bid"] == [NULL, NULL]
    assert columns["volume"] == [12, 12]
    assert columns["vendor_iv"] == [pytest.approx(0.2136)] * 2
    assert columns["vendor_delta"] == [-0.4187] * 2
    assert not {"low", "settlement", "open_interest", "vendor_vega", "volume_is_stale"} & columns.keys()
    assert (
        chain.contracts.columns["trade_at"].tolist()[0] == int(datetime.fromisoformat("2025-06-10T00Z").timestamp()) * S
    )
    assert (chain.key, chain.delay_s, chain.as_of) == ("NQM5/2025-06-11T20:00:00Z", 900.0, FETCHED_AT - 900 * S)
    assert encode_chain(decode_chain(encode_chain(chain))) == encode_chain(chain)


def test_that_none_is_missing_is_never_proven() -> None:
    both = (record(21_000, "Call"), record(21_000, "Put"))
    chain = parsed(envelope(*both), max_records=3)
    assert (chain.expected, chain.expected_from, chain.complete) == (None, None, None)
    assert parsed(envelope(*both), max_records=2).complete is False
    assert parsed(envelope(both[0])).complete is False


def test_fields_that_only_some_records_have_are_absent_in_the_others() -> None:
    other = record(21_000, "Put", impliedVolatility="0")
    del other["volume"], other["date"]
    columns = parsed(envelope(record(21_000, "Call"), other)).contracts.columns
    assert columns["volume"].tolist() == [12, ABSENT]
    assert columns["trade_at"].tolist()[1] == ABSENT
    assert math.isnan(columns["vendor_iv"][1])


@pytest.mark.parametrize(
    ("payload", "field", "rule"),
    [
        (envelope(code=401, message="Unauthorized"), "status.code", "must be 200, is 401: Unauthorized"),
        (envelope(code=204, message="Success, but no content to return."), "results", "must hold contracts"),
        (envelope(), "results", "must hold contracts"),
        (b'{"results":[]}', "status.code", "must be 200"),
        (b"<html></html>", "payload", "page of HTML"),
        (envelope(record(21_000, "Call", last="much")), "results[0].last", "must be a number"),
        (envelope(record(21_000, "Call", last=[1])), "results[0].last", "must be a number"),
        (envelope(record(21_000, "Call", last="1e-12")), "results[0].last", "must be a number"),
        (envelope(record(21_000, "Call", last="NaN")), "results[0].last", "must be a number"),
        (envelope(record(21_000, "Call", volume=-1)), "results[0].volume", "must be a number"),
        (envelope(record(21_000, "Call", type="Put")), "results[0].type", "must agree with the symbol"),
        (envelope(record(21_000, "Call", type="?")), "results[0].type", "must be Call or Put"),
        (envelope(record(0, "Call")), "results[0].strike", "above 0"),
        (envelope(record(21_000, "Call", symbol="MC3M5|21000C")), "results[0].symbol", "must be of MC2M25"),
        (envelope(record(21_000, "Call", expirationDate="2025-06-18")), "results[0].expirationDate", "2025-06-11"),
        (envelope(record(21_000, "Call", date="10 June")), "results[0].date", "must be a date"),
    ],
)
def test_what_is_no_chain_is_refused_by_field_and_rule(payload: bytes, field: str, rule: str) -> None:
    with pytest.raises(BadData) as caught:
        parsed(payload)
    assert caught.value.field == field
    assert rule in caught.value.rule


def test_the_price_of_a_future() -> None:
    told = {"symbol": "NQM5", "lastPrice": 21800.25, "tradeTimestamp": "2025-06-10T10:00:00-05:00", "settlement": None}
    at = int(datetime.fromisoformat("2025-06-10T15:00Z").timestamp()) * S
    assert parse_on_demand_quote(envelope(told), "NQM25") == UnderlyingPrice(21_800_250_000_000, "trade", at)
    naive = told | {"tradeTimestamp": "2025-06-10T10:00:00", "settlement": "21800.25"}
    assert parse_on_demand_quote(envelope(naive), "NQM25") == UnderlyingPrice(21_800_250_000_000, "settlement", at)
    with pytest.raises(BadData, match="must be a price of NQU25"):
        parse_on_demand_quote(envelope(told), "NQU25")
