"""Chains from answers: what each part of a row becomes, and what is no chain of that series."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from tests.unit.feed.barchart.answers import FETCHED_AT, SERIES, TRADED_S, Row, answer, pair, parsed, row

from tapeline.errors import BadData
from tapeline.feed.barchart.payload import parse_quote
from tapeline.feed.barchart.series import series_from_code
from tapeline.model.chains import ABSENT, FLAGS, NULL, NULL_CODE, Chain, UnderlyingPrice

S = 10**9


def cell(chain: Chain, name: str, index: int = 0) -> Any:
    return chain.contracts.columns[name].tolist()[index]


def flags(chain: Chain, index: int = 0) -> set[str]:
    return {name for bit, name in enumerate(FLAGS) if int(chain.contracts.flags[index]) >> bit & 1}


def only(**cells: tuple[Any, Any]) -> Chain:
    """The chain of one strike, whose call has these cells."""
    return parsed(answer([row(21_000, "Call", **cells), row(21_000, "Put")]))


def test_a_chain_says_whose_and_what_it_is() -> None:
    chain = parsed(answer([*pair(21_000), *pair(21_010)]))
    assert (chain.source, chain.vendor, chain.mode) == ("barchart", "barchart", "live")
    assert (chain.underlying, chain.series, chain.vendor_series) == ("NQM5", "Q2C", "MC2M25")
    assert (chain.style, chain.settlement_method) == ("european", "vwap_fixing")
    assert (chain.multiplier, chain.currency, chain.delay_s) == (20 * S, "USD", 900.0)
    assert (chain.expected, chain.expected_from, chain.complete) == (4, "vendor_total", True)
    assert chain.symbols()[3] == "NQM5 2025-06-11T20:00Z P21010"
    assert (cell(chain, "bid"), cell(chain, "ask"), cell(chain, "volume")) == (124_500_000_000, 126 * S, 1_204)
    assert (cell(chain, "open"), cell(chain, "change"), cell(chain, "premium")) == (NULL, 5_250_000_000, 2_500 * S)
    assert (cell(chain, "last_is_settlement"), cell(chain, "settlement")) == (0, ABSENT)
    assert flags(chain) == set()


def test_rows_may_be_grouped_by_strike_or_not_at_all() -> None:
    rows = [*pair(21_000), *pair(21_010)]
    by_type = parsed(answer(rows))
    by_strike = parsed(answer(rows, count=2, data={"21,000.00": rows[:2], "21,010.00": rows[2:]}))
    flat = parsed(answer(rows, count=4, data=rows))
    assert sorted(by_type.symbols()) == sorted(by_strike.symbols()) == sorted(flat.symbols())
    assert by_strike.complete
    assert flat.complete


def test_a_settlement_is_kept_apart_and_marked() -> None:
    settled = only(lastPrice=("125.00s", 125), tradeTime=("06/10/25", TRADED_S))
    assert (cell(settled, "last"), cell(settled, "settlement"), cell(settled, "last_is_settlement")) == (
        125 * S,
        125 * S,
        1,
    )
    assert cell(settled, "settlement_at") == cell(settled, "trade_at")
    assert cell(settled, "settlement", 1) == cell(settled, "settlement_at", 1) == ABSENT
    nothing = only(lastPrice=("N/A", 0), premium=("0.00", 0))
    assert (cell(nothing, "last"), cell(nothing, "last_is_settlement")) == (NULL, NULL_CODE)


def test_null_zero_and_absent_are_three_things() -> None:
    call, put = row(21_000, "Call", volume=("N/A", None), openInterest=("0", 0)), row(21_000, "Put")
    for each in (put, put["raw"]):
        del each["openInterest"]
    chain = parsed(answer([call, put]))
    assert chain.contracts.columns["volume"].tolist() == [NULL, 1_204]
    assert chain.contracts.columns["open_interest"].tolist() == [0, ABSENT]
    without = [{**each, "raw": {**each["raw"]}} for each in pair(21_000)]
    for each in without:
        del each["premium"], each["raw"]["premium"]
    assert "premium" not in parsed(answer(without)).contracts.columns


@pytest.mark.parametrize("raw", [0, None])
def test_a_missing_price_is_null_whatever_its_raw_number(raw: int | None) -> None:
    assert cell(only(bidPrice=("N/A", raw)), "bid") == NULL


@pytest.mark.parametrize("raw", [124, 124.0])
def test_a_raw_number_may_be_whole_or_not(raw: float) -> None:
    assert cell(only(bidPrice=("124.00", raw)), "bid") == 124 * S


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"bidPrice": ("N/A", 0)}, {"one_sided"}),
        ({"askPrice": ("N/A", 0)}, {"one_sided"}),
        ({"bidPrice": ("126.25", 126.25)}, {"crossed"}),
        ({"bidPrice": ("126.00", 126)}, {"locked"}),
        ({"bidPrice": ("124.38", 124.38)}, {"off_tick"}),
        ({"bidPrice": ("4.95", 4.95)}, set()),
        ({"bidPrice": ("5.05", 5.05)}, {"off_tick"}),
        ({"bidPrice": ("5.00", 5)}, set()),
        (
            {
                "bidPrice": ("N/A", 0),
                "askPrice": ("N/A", 0),
                "lastPrice": ("N/A", 0),
                "premium": ("0.00", 0),
                "volume": ("N/A", None),
                "tradeTime": ("N/A", None),
            },
            {"no_data"},
        ),
    ],
)
def test_what_is_remarkable_of_a_contract_is_flagged(cells: dict[str, Any], expected: set[str]) -> None:
    assert flags(only(**cells)) == expected


@pytest.mark.parametrize(
    ("trade_time", "raw", "volume", "expected"),
    [
        # the session of 10 June began on 9 June at 17:00 in Chicago, 22:00 UTC
        ("17:00 CT", 1_749_506_400, ("5", 5), 0),
        ("16:59 CT", 1_749_506_399, ("5", 5), 1),
        ("06/09/25", 1_749_427_200, ("5", 5), 1),
        ("06/10/25", 1_749_531_600, ("5", 5), 0),
        ("06/09/25", 1_749_427_200, ("0", 0), 0),
        ("06/09/25", 1_749_427_200, ("N/A", None), NULL_CODE),
        ("N/A", None, ("5", 5), NULL_CODE),
    ],
)
def test_a_volume_of_an_earlier_session_is_marked(
    trade_time: str, raw: int | None, volume: tuple[str, int | None], expected: int
) -> None:
    chain = only(tradeTime=(trade_time, raw), volume=volume)
    assert cell(chain, "volume_is_stale") == expected
    assert flags(chain) == ({"stale_volume"} if expected == 1 else set())


def test_over_a_weekend_the_last_session_is_the_one_in_hand() -> None:
    saturday = FETCHED_AT + 4 * 86_400 * S
    friday_s = saturday // S - 86_400
    rows = [row(21_000, "Call", tradeTime=("11:00 CT", friday_s)), row(21_000, "Put")]
    chain = parsed(answer(rows), fetched_at=saturday)
    assert chain.contracts.columns["volume_is_stale"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("trade_time", "raw", "as_of"),
    [
        ("10:00 CT", TRADED_S, FETCHED_AT - 900 * S),
        ("10:49 CT", TRADED_S + 2_950, FETCHED_AT - 650 * S),
        ("11:00 CT", TRADED_S + 3_601, FETCHED_AT),
        ("06/10/25", TRADED_S + 3_500, FETCHED_AT - 900 * S),
    ],
)
def test_data_is_of_its_delay_ago_or_of_the_newest_trade(trade_time: str, raw: int, as_of: int) -> None:
    chain = parsed(answer([row(21_000, right, tradeTime=(trade_time, raw)) for right in ("Call", "Put")]))
    assert chain.as_of == as_of
    assert chain.flags == (
        ("series_from_code", "trade_after_fetch") if raw > FETCHED_AT // S else ("series_from_code",)
    )


def test_a_chain_after_its_expiry_is_flagged() -> None:
    before = parsed(answer(pair(21_000)), fetched_at=SERIES.expiry + 899 * S)
    after = parsed(answer(pair(21_000)), fetched_at=SERIES.expiry + 900 * S)
    assert "expired" not in before.flags
    assert "expired" in after.flags
    assert "expired" in flags(after)


def test_strikes_far_from_the_future_are_ghosts() -> None:
    rows = [each for strike in (10_000, 21_000, 21_010, 22_000) for each in pair(strike)]
    assert "ghost_strikes" in parsed(answer(rows)).flags
    assert "ghost_strikes" not in parsed(answer(rows[2:])).flags
    near = UnderlyingPrice(19_000 * S, "trade", None)
    assert "ghost_strikes" not in parsed(answer(rows), underlying_price=near).flags


@pytest.mark.parametrize(
    "payload",
    [
        answer([row(21_000, "Call")], total=2),
        answer(pair(21_000), total=4),
        answer([row(21_000, "Call"), row(21_010, "Put")]),
        answer([*pair(21_000), *pair(21_000)]),
    ],
    ids=["a side is missing", "rows are missing", "no pairs", "duplicates"],
)
def test_a_part_is_not_complete(payload: bytes) -> None:
    assert parsed(payload).complete is False


def test_volatility_and_greeks_of_the_vendor_are_kept_as_its_own() -> None:
    cells = {"optImpliedVolatility": ("21.36%", 21.36), "delta": ("0.5123", 0.5123), "vega": ("N/A", None)}
    chain = parsed(answer([row(21_000, "Call", **cells), row(21_000, "Put", optImpliedVolatility=("0.00%", 0))]))
    assert cell(chain, "vendor_iv") == pytest.approx(0.2136)
    assert cell(chain, "vendor_delta") == 0.5123
    assert math.isnan(cell(chain, "vendor_vega"))
    assert math.isnan(cell(chain, "vendor_iv", 1))
    assert math.isnan(cell(chain, "vendor_delta", 1))


def changed(change: Callable[[Row], object]) -> bytes:
    """An answer whose third row is changed."""
    rows = [*pair(21_000), *pair(21_010)]
    change(rows[2])
    return answer(rows)


def test_a_field_that_is_not_known_is_passed_over() -> None:
    assert len(parsed(changed(lambda each: each.update(novelty={"a": 1})), SERIES).contracts) == 4


DRIFT: dict[str, tuple[bytes, str, str]] = {
    "renamed": (changed(lambda each: each.update(bid=each.pop("bidPrice"))), "data.Call[1].bidPrice", "must be there"),
    "without raw": (changed(lambda each: each.pop("raw")), "data.Call[1].raw", "raw numbers"),
    "raw field gone": (changed(lambda each: each["raw"].pop("askPrice")), "data.Call[1].raw.askPrice", "must be there"),
    "number for text": (changed(lambda each: each.update(askPrice=126.0)), "data.Call[1].askPrice", "must be a text"),
    "null for text": (changed(lambda each: each.update(volume=None)), "data.Call[1].volume", "must be a text"),
    "list for text": (changed(lambda each: each.update(symbol=[])), "data.Call[1].symbol", "must be a text"),
    "text for number": (
        changed(lambda each: each["raw"].update(askPrice="126")),
        "data.Call[1].raw.askPrice",
        "must be a number or null",
    ),
    "truth for number": (
        changed(lambda each: each["raw"].update(volume=True)),
        "data.Call[1].raw.volume",
        "must be a number or null",
    ),
    "other raw number": (changed(lambda each: each["raw"].update(bidPrice=12.45)), "data.Call[1].bidPrice", "the same"),
    "a cent beside": (changed(lambda each: each["raw"].update(askPrice=126.01)), "data.Call[1].askPrice", "the same"),
    "raw of nothing": (changed(lambda each: each.update(askPrice="N/A")), "data.Call[1].askPrice", "the same"),
    "new word": (changed(lambda each: each.update(bidPrice="halt")), "data.Call[1].bidPrice", "must be a number"),
    "other multiplier": (
        changed(lambda each: (each.update(premium="6,250.00"), each["raw"].update(premium=6250))),
        "data.Call[1].premium",
        "must be the last price 125.00 times 20",
    ),
    "other side": (changed(lambda each: each.update(optionType="Put")), "data.Put[1].strike", "must agree"),
    "new side": (changed(lambda each: each.update(optionType="Warrant")), "data.Warrant[0].optionType", "Call or Put"),
    "other strike": (changed(lambda each: each.update(strike="21,020.00C")), "data.Call[1].strike", "must agree"),
    "other time": (changed(lambda each: each.update(tradeTime="10:07 CT")), "data.Call[1].tradeTime", "raw number"),
    "other day": (changed(lambda each: each.update(tradeTime="06/11/25")), "data.Call[1].tradeTime", "raw number"),
    "a time without number": (
        changed(lambda each: each["raw"].update(tradeTime=None)),
        "data.Call[1].tradeTime",
        "raw number",
    ),
    "a time far away": (
        changed(lambda each: each["raw"].update(tradeTime=1e30)),
        "data.Call[1].tradeTime",
        "raw number",
    ),
    "another series": (
        changed(lambda each: each.update(symbol="MC3M5|21010C")),
        "data.Call[1].symbol",
        "must be of MC2M25",
    ),
    "empty": (answer([], data=[]), "data", "must hold contracts"),
    "no total": (answer(pair(21_000), total=None), "total", "must be the number"),
    "total as text": (answer(pair(21_000), total="2"), "total", "must be the number"),
    "rows of rows": (answer(pair(21_000), data=[[1]]), "data", "must be a list of rows"),
    "no data": (b'{"count":0,"total":0}', "data", "must be a list of rows"),
    "error": (
        b'{"error":{"code":401,"message":"Unauthorized"}}',
        "payload",
        "is an error of the vendor's: Unauthorized",
    ),
    "page": (b"\n<!DOCTYPE html><title> Human\n verification </title>", "payload", "'Human verification'"),
    "cut off": (answer(pair(21_000))[:-70], "payload", "must be whole JSON"),
    "nothing at all": (b"", "payload", "must be whole JSON"),
    "a list": (b"[]", "payload", "must be a JSON object"),
}


@pytest.mark.parametrize("case", DRIFT)
def test_what_is_no_chain_is_refused_by_field_and_rule(case: str) -> None:
    payload, field, rule = DRIFT[case]
    with pytest.raises(BadData) as caught:
        parsed(payload)
    assert caught.value.field == field
    assert rule in caught.value.rule


def test_the_refusal_names_the_contract_and_a_remedy() -> None:
    with pytest.raises(BadData, match=r"in the row of 'MC2M5\|21010C' \(the vendor's format may have changed"):
        parsed(DRIFT["new word"][0])


def test_the_whole_answer_of_another_series_is_refused() -> None:
    with pytest.raises(BadData, match=r"must be of MC3M25.*the answer is another series'"):
        parsed(answer(pair(21_000)), series_from_code("MC3M25", FETCHED_AT))


def test_a_long_error_is_cut() -> None:
    with pytest.raises(BadData) as caught:
        parsed(orjson.dumps({"message": "x" * 10_000}))
    assert len(str(caught.value)) < 300


def quotes(**cells: tuple[Any, Any]) -> bytes:
    said = {"lastPrice": ("21,800.25", 21800.25), "tradeTime": ("10:00 CT", TRADED_S)} | cells
    rows = [
        {
            "symbol": symbol,
            **{name: text for name, (text, _) in said.items()},
            "raw": {name: raw for name, (_, raw) in said.items()},
        }
        for symbol in ("NQM25", "NQU25")
    ]
    return orjson.dumps({"count": 2, "total": 2, "data": rows})


def test_the_price_of_a_future_is_told_with_what_it_is() -> None:
    assert parse_quote(quotes(), "NQU25") == UnderlyingPrice(21_800_250_000_000, "trade", TRADED_S * S)
    settled = quotes(lastPrice=("21,800.25s", 21800.25), tradeTime=("06/09/25", 1_749_427_200))
    assert parse_quote(settled, "NQM25") == UnderlyingPrice(21_800_250_000_000, "settlement", None)
    with pytest.raises(BadData, match=r"must be NQZ25, is NQM25, NQU25"):
        parse_quote(quotes(), "NQZ25")
    with pytest.raises(BadData, match=r"there is none"):
        parse_quote(quotes(lastPrice=("N/A", 0)), "NQM25")
