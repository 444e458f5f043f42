"""Hypothesis strategies for option chains."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from hypothesis import strategies as st
from tests.unit.model.strategies import counts, int64s, texts

from tapeline.model.chain_rows import ALL_FIELDS
from tapeline.model.chains import (
    ABSENT,
    ABSENT_CODE,
    CODES,
    EXPECTED_FROM,
    FLAGS,
    FLOATS,
    FORWARDS_FROM,
    MODES,
    NULL,
    NULL_CODE,
    PRECISIONS,
    PRICES,
    PRICES_FROM,
    SETTLEMENT_METHODS,
    TRUTHS,
    Candidate,
    Chain,
    Contracts,
    Forward,
    Selection,
    UnderlyingPrice,
    Verdict,
)
from tapeline.model.columns import INT64_MAX
from tapeline.model.frames import Array
from tapeline.model.instruments import STYLES

prices: Final = st.integers(-(10**15) + 1, 10**15 - 1) | st.integers(-(10**15) + 1, 10**15 - 1).map(lambda n: n * 1000)
"""Of 15 digits, exponent -9."""
numbers: Final = st.floats(allow_nan=False, allow_infinity=False)


def _cells(name: str, count: int) -> st.SearchStrategy[Array]:
    values: st.SearchStrategy[Any]
    if name in FLOATS:
        values = numbers | st.just(np.nan)
        return st.lists(values, min_size=count, max_size=count).map(lambda cells: np.array(cells, dtype=np.float64))
    if name in TRUTHS or name in CODES:
        values = st.sampled_from([NULL_CODE, ABSENT_CODE, *range(2 if name in TRUTHS else len(PRECISIONS))])
        return st.lists(values, min_size=count, max_size=count).map(lambda cells: np.array(cells, dtype=np.int8))
    known = prices if name in PRICES else st.integers(ABSENT + 1, INT64_MAX)
    values = known | st.sampled_from([NULL, ABSENT])
    return st.lists(values, min_size=count, max_size=count).map(lambda cells: np.array(cells, dtype=np.int64))


@st.composite
def contracts(draw: st.DrawFn) -> Contracts:
    """A few contracts with some of the columns, of any values."""
    count = draw(st.integers(0, 4))
    names = draw(st.sets(st.sampled_from(ALL_FIELDS), max_size=8))
    return Contracts(
        strike=np.array(draw(st.lists(prices, min_size=count, max_size=count)), dtype=np.int64),
        is_call=np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)), dtype=bool),
        vendor_symbols=tuple(draw(st.lists(st.just("") | texts, min_size=count, max_size=count))),
        columns={name: draw(_cells(name, count)) for name in sorted(names)},
        flags=np.array(
            draw(st.lists(st.integers(0, 2 ** len(FLAGS) - 1), min_size=count, max_size=count)), dtype=np.uint32
        ),
    )


forwards: Final = st.builds(
    Forward, value=numbers, source=st.sampled_from(FORWARDS_FROM), pairs=counts, deviation=st.none() | numbers
)
underlying_prices: Final = st.builds(
    UnderlyingPrice, value=prices, source=st.sampled_from(PRICES_FROM), at=st.none() | int64s
)
verdicts: Final = st.builds(Verdict, errors=counts, warnings=counts, rules=st.dictionaries(texts, counts, max_size=3))
candidates: Final = st.builds(
    Candidate,
    source=texts,
    mode=st.sampled_from(MODES),
    as_of=int64s,
    age_s=numbers,
    complete=st.none() | st.booleans(),
    errors=counts,
    warnings=counts,
    eligible=st.booleans(),
    remark=texts,
)
selections: Final = st.builds(
    Selection, reason=texts, at=int64s, since=int64s, candidates=st.lists(candidates, max_size=2).map(tuple)
)


@st.composite
def chains(draw: st.DrawFn) -> Chain:
    """A chain that keeps every rule."""
    expected = draw(st.none() | counts)
    return Chain(
        **{name: draw(texts) for name in ("source", "vendor", "underlying")},
        **{name: draw(st.none() | texts) for name in ("series", "vendor_series", "currency")},
        **{name: draw(int64s) for name in ("expiry", "as_of", "fetched_at", "published_at")},
        style=draw(st.none() | st.sampled_from(STYLES)),
        settlement_method=draw(st.none() | st.sampled_from(SETTLEMENT_METHODS)),
        multiplier=draw(st.none() | prices),
        mode=draw(st.sampled_from(MODES)),
        delay_s=draw(st.none() | numbers),
        underlying_price=draw(st.none() | underlying_prices),
        forward=draw(st.none() | forwards),
        rate=draw(st.none() | numbers),
        expected=expected,
        expected_from=None if expected is None else draw(st.sampled_from(EXPECTED_FROM)),
        complete=draw(st.none() | st.booleans()),
        computed=tuple(draw(st.lists(st.sampled_from((*ALL_FIELDS, "forward")), max_size=3))),
        approximate=draw(st.booleans()),
        flags=tuple(draw(st.lists(texts, max_size=3))),
        contracts=draw(contracts()),
        verdict=draw(st.none() | verdicts),
        selection=draw(st.none() | selections),
    )


def same_chain(one: Chain, other: Chain) -> bool:
    """Return whether two chains say the same, column by column; a column that is absent in all rows may be left out."""
    names = [name for name in Chain.__dataclass_fields__ if name != "contracts"]
    if any(getattr(one, name) != getattr(other, name) for name in names):
        return False
    left, right = one.contracts, other.contracts
    if left.vendor_symbols != right.vendor_symbols:
        return False
    pairs = [(left.strike, right.strike), (left.is_call, right.is_call), (left.flags, right.flags)]
    for name in ALL_FIELDS:
        absent: Array = np.full(len(left), ABSENT_CODE if name in TRUTHS or name in CODES else ABSENT)
        missing = np.full(len(left), np.nan) if name in FLOATS else absent
        pairs.append((left.columns.get(name, missing), right.columns.get(name, missing)))
    return all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in pairs)
