"""The answers of the core API: texts, raw values, groups, and what `count` and `total` count."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.simulator.barchart.showing import ROWS, SETTLED, TRADED, StandingView

from tapeline_simulator.barchart.payload import CHAIN_FIELDS, Question, chain_answer, encode, quote_answer

ASKED = {"groupBy": "optionType", "orderBy": "strike", "orderDir": "asc", "raw": "1"}


def answer(**changed: str) -> dict[str, Any]:
    return chain_answer(ROWS, Question.of({**ASKED, **changed}))


def test_a_traded_contract_reads_as_the_vendor_writes_it() -> None:
    row = answer()["data"]["Call"][0]
    assert list(row) == [*CHAIN_FIELDS, "raw"]
    assert {name: row[name] for name in CHAIN_FIELDS} == {
        "strike": "25,000.00C",
        "openPrice": "480.00",
        "highPrice": "501.50",
        "lowPrice": "480.00",
        "lastPrice": "486.75",
        "priceChange": "+9.00",
        "bidPrice": "486.25",
        "askPrice": "499.00",
        "volume": "1,204",
        "openInterest": "2",
        "premium": "9,735.00",
        "tradeTime": "08:59 CT",
        "longSymbol": "MC9X6|25000C",
        "optionType": "Call",
        "symbol": "MC9X6|25000C",
        "symbolCode": "FUTOPT",
        "symbolType": 12,
    }
    raw = row["raw"]
    assert json.dumps([raw["strike"], raw["openPrice"], raw["highPrice"], raw["lastPrice"], raw["premium"]]) == (
        "[25000, 480, 501.5, 486.75, 9735]"
    )
    assert (raw["priceChange"], raw["volume"], raw["tradeTime"]) == (9, 1_204, TRADED.quote.traded_s)


def test_settled_one_sided_and_unchanged_are_told_apart() -> None:
    row = answer()["data"]["Put"][0]
    assert (row["lastPrice"], row["priceChange"], row["tradeTime"]) == ("0.05s", "unch", "11/20/26")
    assert (row["bidPrice"], row["raw"]["bidPrice"]) == ("N/A", 0)
    assert (row["volume"], row["raw"]["volume"], row["openInterest"], row["raw"]["openInterest"]) == (
        "N/A",
        None,
        "N/A",
        None,
    )
    assert row["raw"]["tradeTime"] == SETTLED.quote.traded_s


def test_of_a_contract_without_data_prices_are_zero_and_counts_are_null() -> None:
    row = answer()["data"]["Put"][1]
    told = {name for name in CHAIN_FIELDS if row[name] != "N/A"}
    assert told == {"strike", "premium", "longSymbol", "optionType", "symbol", "symbolCode", "symbolType"}
    assert (row["premium"], row["raw"]["premium"]) == ("0.00", 0)
    assert {name for name, value in row["raw"].items() if value is None} == {"volume", "openInterest", "tradeTime"}


@pytest.mark.parametrize(
    ("group", "names", "count"),
    [("optionType", ["Call", "Put"], 2), ("strikePrice", ["25,000.00", "25,100.00"], 2), ("", None, 4)],
)
def test_count_is_of_the_groups_and_total_of_the_contracts(group: str, names: list[str] | None, count: int) -> None:
    told = answer(groupBy=group)
    assert (told["count"], told["total"]) == (count, 4)
    assert (list(told["data"]) if isinstance(told["data"], dict) else None) == names
    rows = told["data"] if names is None else [row for group in told["data"].values() for row in group]
    assert len(rows) == 4


def test_fields_come_in_the_order_asked_for_and_unknown_ones_do_not() -> None:
    told = answer(fields="bidPrice,expirationDate,strike", meta="field.type,lists.lastUpdate")
    row = told["data"]["Call"][0]
    assert list(row) == ["bidPrice", "strike", "raw"]
    assert list(row["raw"]) == ["bidPrice", "strike"]
    assert told["meta"] == {"field": {"type": {"bidPrice": "price", "strike": "strikePrice"}}}
    assert list(answer(raw="0", fields="strike")["data"]["Call"][0]) == ["strike"]
    assert "meta" not in answer()


def test_rows_are_ordered_and_limited_as_asked() -> None:
    told = answer(orderDir="desc", groupBy="", fields="symbol", limit="3")
    assert [row["symbol"] for row in told["data"]] == ["MC9X6|25100C", "MC9X6|25100P", "MC9X6|25000C"]
    assert (told["count"], told["total"]) == (3, 4)
    by_bid = answer(orderBy="bidPrice", groupBy="", fields="bidPrice")
    assert [row["bidPrice"] for row in by_bid["data"]] == ["N/A", "N/A", "400.00", "486.25"]


def test_an_empty_chain_is_an_empty_list_as_php_has_it() -> None:
    told = chain_answer([], Question.of(ASKED))
    assert encode(told) == b'{"count":0,"total":0,"data":[]}'


def test_json_is_written_as_by_the_vendor() -> None:
    assert encode({"a": "06/09/25", "b": [1, 2.5, None]}) == b'{"a":"06\\/09\\/25","b":[1,2.5,null]}'


def test_a_future_is_answered_without_its_open_interest() -> None:
    view = StandingView({})
    told = quote_answer(view.futures, Question.of({"fields": "symbol,lastPrice,openInterest,tradeTime", "raw": "1"}))
    assert told["data"] == [
        {
            "symbol": "NQZ26",
            "lastPrice": "25,050.25",
            "tradeTime": "N/A",
            "raw": {"symbol": "NQZ26", "lastPrice": 25_050.25, "tradeTime": None},
        }
    ]
    assert (told["count"], told["total"]) == (1, 1)
