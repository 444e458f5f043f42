"""A chain is whole and of its series, or it has the name of what it is instead."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.barchart.answers import FETCHED_NS, SERIES, answer, good, kept, row
from tests.unit.barchart.test_hybrid import TUESDAY_NS, S

from tapeline.errors import BadData
from tapeline.feed.barchart.series import series_from_code
from tapeline_barchart.errors import EmptyChain, ExpiredChain, OtherSymbol, PartialChain
from tapeline_barchart.normalize import read_chain


def test_a_chain_says_where_it_comes_from_and_how_old_it_is() -> None:
    for mode in ("live", "cache", "saved"):
        chain = read_chain(kept(good()), mode, TUESDAY_NS, 900.0)  # type: ignore[arg-type]
        assert (chain.source, chain.vendor, chain.mode, chain.fetched_at) == ("barchart", "barchart", mode, FETCHED_NS)
        assert (chain.as_of, chain.published_at, chain.delay_s) == (FETCHED_NS - 900 * S, TUESDAY_NS, 900.0)
        assert chain.underlying_price == kept(b"").underlying_price
        assert chain.complete
    assert read_chain(kept(good()), "live", TUESDAY_NS, 0.0).as_of == FETCHED_NS


def test_a_time_that_was_guessed_is_marked() -> None:
    chain = read_chain(replace(kept(good()), is_time_assumed=True), "saved", TUESDAY_NS, 900.0)
    assert "time_zone_assumed" in chain.flags
    assert "time_zone_assumed" not in read_chain(kept(good()), "saved", TUESDAY_NS, 900.0).flags


CALLS, PUTS = [row(21_600, "Call"), row(21_700, "Call")], [row(21_600, "Put"), row(21_700, "Put")]
UNQUOTED = [row(21_600, side, bid="N/A", ask="N/A") for side in ("Call", "Put")]


@pytest.mark.parametrize(
    ("payload", "error", "words"),
    [
        (answer([], []), EmptyChain, "data"),
        (b'{"count":0,"total":0,"data":[]}', EmptyChain, "data"),
        (answer(CALLS, []), PartialChain, "a call and a put of every strike, 2 came"),
        (answer(CALLS[:1], PUTS), PartialChain, "3 came"),
        (answer(CALLS, PUTS, total=500), PartialChain, "must be 500"),
        (answer(UNQUOTED[:1], UNQUOTED[1:]), ExpiredChain, "none of 2 is"),
        (answer(CALLS, [{**row(21_600, "Put"), "bidPrice": 49.0}, PUTS[1]]), BadData, "bidPrice"),
    ],
)
def test_what_is_no_whole_chain_is_refused_by_its_name(payload: bytes, error: type[BadData], words: str) -> None:
    with pytest.raises(error, match=words) as raised:
        read_chain(kept(payload), "live", TUESDAY_NS, 900.0)
    assert type(raised.value) is error


def test_the_answer_to_another_question_is_refused() -> None:
    other = replace(kept(good()), series=series_from_code("MQ2M25", TUESDAY_NS))
    with pytest.raises(OtherSymbol, match="must be of MQ2M25"):
        read_chain(other, "live", TUESDAY_NS, 900.0)
    assert SERIES.vendor_series == "MC2M25"
