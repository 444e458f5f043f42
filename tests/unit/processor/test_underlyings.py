"""Prices of underlyings from rows of pressure."""

from __future__ import annotations

import orjson
import pytest

from tapeline.errors import BadData
from tapeline.model.chains import UnderlyingPrice
from tapeline_processor.underlyings import Underlyings

S = 10**9
T = 1_764_000_000 * S
NQZ6 = ("databento", "NQZ6")


def message(*rows: dict[str, object], source: str = "databento") -> bytes:
    plain = {"symbol": "NQZ6", "window_start": str(T), "window_ms": 1_000, "weighted_mid": 25_000_125_000_000}
    return orjson.dumps(
        {"schema": "pressure.v1", "source": source, "rows": [plain | {"book_valid": True} | row for row in rows]}
    )


@pytest.fixture
def begun() -> list[str]:
    return []


@pytest.fixture
def underlyings(begun: list[str]) -> Underlyings:
    made = Underlyings(lambda: begun.append("begun"))
    made.want(["NQZ6"])
    return made


def take(underlyings: Underlyings, value: bytes) -> None:
    underlyings.take(0, underlyings.decode(value) or [])


def test_reading_begins_with_the_first_future_that_is_asked_for(begun: list[str]) -> None:
    underlyings = Underlyings(lambda: begun.append("begun"))
    underlyings.want([])
    assert begun == []
    underlyings.want(["NQZ6"])
    underlyings.want(["NQZ6", "NQH7"])
    assert begun == ["begun"]
    assert [symbol for (_, symbol), _ in underlyings.decode(message({"symbol": "NQH7"})) or []] == ["NQH7"]


def test_the_mid_at_the_end_of_the_window_is_the_price(underlyings: Underlyings) -> None:
    take(underlyings, message({}))
    assert underlyings.prices(T + 2 * S) == {NQZ6: UnderlyingPrice(25_000_125_000_000, "quote", T + S)}


def test_a_future_has_a_price_per_source(underlyings: Underlyings) -> None:
    take(underlyings, message({}))
    take(underlyings, message({"weighted_mid": 7}, source="saved"))
    assert underlyings.prices(T + S)[NQZ6].value == 25_000_125_000_000
    assert underlyings.prices(T + S)["saved", "NQZ6"].value == 7


@pytest.mark.parametrize(
    "row",
    [
        {"symbol": "ESZ6"},
        {"window_ms": 100},
        {"book_valid": False},
        {"weighted_mid": None},
    ],
)
def test_what_is_no_price_is_passed_over(underlyings: Underlyings, row: dict[str, object]) -> None:
    assert underlyings.decode(message(row)) is None
    assert len(underlyings.decode(message(row, {})) or []) == 1


def test_the_newest_counts_whatever_the_order(underlyings: Underlyings) -> None:
    take(underlyings, message({"window_start": str(T + S), "weighted_mid": 2}))
    take(underlyings, message({"weighted_mid": 1}))
    assert underlyings.prices(T)[NQZ6].value == 2


def test_a_price_of_a_minute_ago_is_none(underlyings: Underlyings) -> None:
    take(underlyings, message({}))
    assert underlyings.prices(T + 61 * S)
    assert not underlyings.prices(T + 61 * S + 1)


@pytest.mark.parametrize(
    "value", [b'{"window_ms":1000,', b'{"rows":[{"window_ms":1000,"symbol":"NQZ6"}]}', b'["window_ms":1000,]']
)
def test_what_is_not_pressure_is_bad_data(underlyings: Underlyings, value: bytes) -> None:
    with pytest.raises(BadData, match="rows"):
        underlyings.decode(value)
