"""Formatted texts: exact, and nothing but what is known."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tapeline.errors import BadData
from tapeline.feed.barchart import texts
from tapeline.model.chains import NULL

amounts = st.decimals(min_value=0, max_value=9_000_000, allow_nan=False, places=2)


@given(amounts, st.sampled_from(["", "+", "-"]), st.booleans())
def test_a_price_is_exactly_its_text(amount: Decimal, sign: str, with_commas: bool) -> None:
    text = sign + (f"{amount:,.2f}" if with_commas else f"{amount:.2f}")
    assert texts.price(text) == int(Decimal(sign + str(amount)).scaleb(9))


@given(st.decimals(min_value=0, max_value=1_000, allow_nan=False, places=9))
def test_every_digit_of_a_price_counts(amount: Decimal) -> None:
    assert texts.price(f"{amount:,.9f}") == int(amount.scaleb(9))


@given(amounts)
def test_a_settlement_is_told_by_its_letter(amount: Decimal) -> None:
    value = int(amount.scaleb(9))
    assert texts.last_price(f"{amount:,.2f}s") == (value, True)
    assert texts.last_price(f"{amount:,.2f}") == (value, False)


@given(st.integers(min_value=1, max_value=10**6), st.sampled_from(["C", "P", ""]))
def test_a_strike_has_the_letter_of_its_right(points: int, letter: str) -> None:
    assert texts.strike(f"{points:,}.00{letter}") == (points * 10**9, letter)


@given(st.integers(min_value=0, max_value=10**12))
def test_a_count_is_whole(number: int) -> None:
    assert texts.count(f"{number:,}") == number


def test_words_and_zeros() -> None:
    assert texts.price("unch") == 0
    assert texts.price("0.00") == 0
    assert texts.price("N/A") == texts.quote("N/A") == texts.quote("0.00") == texts.count("N/A") == NULL
    assert texts.last_price("N/A") == (NULL, False)
    assert texts.volatility("21.36%") == pytest.approx(0.2136)
    assert math.isnan(texts.volatility("0.00%"))
    assert math.isnan(texts.real("N/A"))
    assert texts.real("-0.4100") == -0.41


@given(st.dates(date(2001, 1, 1), date(2099, 12, 31)), st.times())
def test_a_date_is_midnight_utc_and_a_time_its_minute(day: date, at: time) -> None:
    midnight = datetime.combine(day, time(), UTC)
    assert texts.trade_time(f"{day:%m/%d/%y}") == ("day", int(midnight.timestamp()) * 10**9)
    assert texts.trade_time(f"{at:%H:%M} CT") == ("s", at.hour * 60 + at.minute)


@pytest.mark.parametrize("read", [texts.price, texts.quote, texts.last_price, texts.count, texts.strike])
@given(st.text(alphabet="0123456789,.+-sCPunchN/A eE_%१", max_size=9))
@example("1_000.00")
@example("1,00.00")
@example("1e3")
@example(" 1.00")
@example("1.00ss")
@example("१.00")
@example("")
def test_what_is_read_reads_the_same_in_another_way(read: Callable[[str], object], text: str) -> None:
    try:
        value = read(text)
    except BadData:
        return
    bare = text.rstrip("CP") if read is texts.strike else text.removesuffix("s") if read is texts.last_price else text
    found = value[0] if isinstance(value, tuple) else value
    if bare in ("N/A", "unch"):
        assert found == (NULL if bare == "N/A" or read is texts.quote else 0)
        return
    plain = Decimal(bare.replace(",", ""))
    whole = bare.lstrip("+-").partition(".")[0]
    assert all(len(group) == 3 for group in whole.split(",")[1:])
    assert found == (plain if read is texts.count else plain.scaleb(9)) or (read is texts.quote and found == NULL)


@pytest.mark.parametrize("text", ["13/01/25", "02/30/25", "24:00 CT", "07:60 CT", "07:28 ET", "7:28 CT", "06/09/2025"])
def test_a_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadData, match="must be a date such as"):
        texts.trade_time(text)


def test_a_number_beyond_64_bits_is_refused() -> None:
    assert texts.price("9,223,372,036.00") == 9_223_372_036 * 10**9
    with pytest.raises(BadData, match="must fit 64 bits"):
        texts.price("9,223,372,037.00")


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(BadData, match="must not be negative"):
        texts.count("-5")
