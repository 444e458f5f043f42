"""Rows and chains of the tape as the page shows them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeline_watchdog.web.market import decimal_text, flow_rows, ladder, pressure_rows

GOLDEN = Path(__file__).parents[4] / "schemas" / "golden"


def golden(name: str) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads((GOLDEN / f"{name}.json").read_bytes())
    return found


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        (0, "0"),
        (1, "0.000000001"),
        (-250_000_000, "-0.25"),
        (4_800_133_333_333, "4800.133333333"),
        (17_000_000_000_000, "17000"),
        (9_223_372_036_854_775_807, "9223372036.854775807"),
    ],
)
def test_prices_keep_their_decimals(value: int | None, text: str | None) -> None:
    assert decimal_text(value) == text


@given(st.integers(-(2**63), 2**63 - 1))
def test_no_price_is_rounded(value: int) -> None:
    text = decimal_text(value)
    assert text is not None
    assert Decimal(text) == Decimal(value).scaleb(-9)


def test_pressure_is_that_of_the_windows_of_one_second() -> None:
    message = golden("pressure.v1")
    [(key, row)] = pressure_rows(message)
    assert key == "saved/GLBX.MDP3/ES.FUT/mbo/ESH4"
    assert (row["window_ms"], row["mid"], row["spread"]) == (1_000, "4800.133333333", "0.49975")
    assert (row["queue_imbalance"], row["order_flow_imbalance"], row["is_valid"]) == (-0.465866667, 2, True)
    message["rows"][1]["trade_valid"] = False
    [(_, row)] = pressure_rows(message)
    assert row["is_valid"] is False


def test_flow_has_a_row_per_length_of_window() -> None:
    rows = dict(flow_rows(golden("option-flow.v1")))
    head = "databento/GLBX.MDP3/Q4D.OPT/trade/NQZ6/2026-11-26T21:00:00Z/NQZ6/1795726800000000000"
    assert list(rows) == [f"{head}/{window_ms}" for window_ms in (1_000, 10_000, 60_000)]
    assert rows[f"{head}/1000"]["premium_call"] == 4820.0
    assert "strikes" not in rows[f"{head}/1000"]


def test_a_ladder_has_calls_and_puts_by_strike() -> None:
    key, chain = ladder(golden("option-chain.v1.best"))
    assert key == "NQZ6/2026-11-25T21:00:00Z"
    assert chain["chosen_because"] == "live, complete and 0.5 s old"
    [line] = chain["strikes"]
    assert (line["strike"], line["is_at_the_money"], line["call"]["bid"], line["put"]["bid"]) == (
        25_000.0,
        True,
        148.25,
        None,
    )


@pytest.mark.parametrize(
    ("forward", "price", "money"), [(25_090.0, 24_000.0, 25_100.0), (None, 24_010.0, 24_000.0), (None, None, 25_000.0)]
)
def test_the_money_is_in_the_middle(forward: float | None, price: float | None, money: float) -> None:
    chain = golden("option-chain.v1.best")
    call = chain["contracts"][0]
    chain["contracts"] = [call | {"strike": 24_000.0 + 50 * step} for step in range(41)]
    chain["forward"] = None if forward is None else {"value": forward}
    chain["underlying_price"] = None if price is None else {"value": price}
    _, shown = ladder(chain)
    assert [line["strike"] for line in shown["strikes"] if line["is_at_the_money"]] == [money]
    assert shown["strikes_in_all"] == 41
    strikes = [line["strike"] for line in shown["strikes"]]
    assert strikes == sorted(strikes, reverse=True)
    assert len(strikes) <= 25
    assert money + 600 in strikes or money + 600 > 26_000


def test_a_chain_without_contracts_is_empty() -> None:
    assert ladder(golden("option-chain.v1.best") | {"contracts": []})[1]["strikes"] == []
