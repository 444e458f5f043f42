"""The vendor's names, held against those that its pages had in June 2025."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tapeline_simulator.barchart.symbols import contract_symbol, vendor_future, vendor_series
from tapeline_simulator.expiries import next_futures, next_series


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("start", "names"),
    [
        ("2025-06-02T12:00", ["MC6M25", "MM1M25", "MC1M25", "MM6M25", "MQ1M25"]),
        ("2025-06-09T12:00", ["MC7M25", "MM2M25", "MC2M25", "MM7M25", "MQ2M25"]),
        ("2025-06-20T12:00", ["NQM25", "MC9M25", "MM4M25", "MC4M25"]),
        ("2025-06-30T12:00", ["MQ6M25", "MM1N25", "MC1N25", "MM6N25"]),
    ],
)
def test_series_have_the_names_that_the_site_gave_them(start: str, names: list[str]) -> None:
    found = [vendor_series(each) for each in next_series(at(start), len(names))]
    assert found[: len(names)] == names


def test_rows_and_futures_have_their_own_forms() -> None:
    assert contract_symbol("MC2M25", 21_350, True) == "MC2M5|21350C"
    assert contract_symbol("NQZ26", 25_000, False) == "NQZ6|25000P"
    assert [vendor_future(each) for each in next_futures(at("2025-06-20T12:00"), 2)] == ["NQM25", "NQU25"]
