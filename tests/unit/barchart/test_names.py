"""Names of futures: the vendor's, with two digits for the year."""

from __future__ import annotations

import pytest
from tests.unit.barchart.test_hybrid import at

from tapeline_barchart.names import next_future, vendor_future


@pytest.mark.parametrize(
    ("moment", "name"),
    [
        ((2025, 6, 10, 9), "NQM25"),
        ((2025, 6, 20, 8, 29), "NQM25"),
        ((2025, 6, 20, 8, 30), "NQU25"),
        ((2025, 12, 19, 9), "NQH26"),
        ((2029, 12, 31, 9), "NQH30"),
    ],
)
def test_the_page_is_that_of_the_next_quarterly_future(moment: tuple[int, ...], name: str) -> None:
    assert next_future("NQ", at(*moment)) == name


def test_a_raw_symbol_s_digit_is_that_of_the_next_year_that_has_it() -> None:
    assert vendor_future("NQM5", at(2025, 6, 11, 15)) == "NQM25"
    assert vendor_future("NQH6", at(2025, 12, 30, 15)) == "NQH26"
    assert vendor_future("ESH0", at(2029, 12, 30, 15)) == "ESH30"
