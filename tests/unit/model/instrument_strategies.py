"""Hypothesis strategies for instruments and quality events."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st
from tests.unit.model.strategies import counts, days, int64s, texts

from tapeline.model.columns import INT64_MAX
from tapeline.model.instruments import SIDES, STYLES, TICK_BASES, UPDATE_ACTIONS, Instrument, Leg, TickRule, TickStep
from tapeline.model.quality import MOST_NAMED, ContractCompleteness

ids: Final = st.integers(0, 2**32 - 1)
int32s: Final = st.integers(-(2**31), 2**31 - 1)
letters: Final = st.sampled_from("FCPSTMK") | st.characters(min_codepoint=32, max_codepoint=126)

legs = st.builds(
    Leg,
    instrument_id=ids,
    raw_symbol=texts,
    instrument_class=letters,
    side=st.sampled_from(SIDES),
    quantity_numerator=int32s,
    quantity_denominator=int32s,
    price=st.none() | int64s,
    delta=st.none() | int64s,
)


@st.composite
def tick_rules(draw: st.DrawFn) -> TickRule:
    """A rule of one to four steps."""
    limits = [*sorted(draw(st.sets(int64s, max_size=3))), None]
    return TickRule(draw(st.sampled_from(TICK_BASES)), tuple(TickStep(limit, draw(counts)) for limit in limits))


instruments = st.builds(
    Instrument,
    source=texts,
    dataset=texts,
    trading_day=days,
    instrument_id=ids,
    raw_symbol=texts,
    instrument_class=letters,
    asset=st.none() | texts,
    group=st.none() | texts,
    parent=st.none() | texts,
    underlying=st.none() | texts,
    underlying_id=st.none() | ids,
    expiry=st.none() | int64s,
    activation=st.none() | int64s,
    strike=st.none() | int64s,
    style=st.none() | st.sampled_from(STYLES),
    tick=st.none() | tick_rules(),
    multiplier=st.none() | int64s,
    currency=st.none() | texts,
    user_defined=st.booleans(),
    legs=st.none() | st.lists(legs, max_size=4).map(tuple),
    update_action=st.none() | st.sampled_from(UPDATE_ACTIONS),
    ts_recv=int64s,
)


@st.composite
def quality_events(draw: st.DrawFn) -> ContractCompleteness:
    """An event that keeps every rule: it names all that is missing or unlisted, up to the limit."""
    since, at = sorted((draw(int64s), draw(int64s)))
    quoted = draw(counts)
    missing = draw(st.integers(0, min(3, INT64_MAX - quoted)))
    unlisted = draw(st.integers(0, 3) | st.integers(MOST_NAMED, MOST_NAMED + 2))
    return ContractCompleteness(
        source=draw(texts),
        stream=draw(texts),
        trading_day=draw(days),
        since=since,
        at=at,
        final=draw(st.booleans()),
        expected=quoted + missing,
        quoted=quoted,
        missing=missing,
        missing_symbols=tuple(draw(texts) for _ in range(missing)),
        unlisted=unlisted,
        unlisted_ids=tuple(range(min(unlisted, MOST_NAMED))),
        user_defined=draw(counts),
    )
