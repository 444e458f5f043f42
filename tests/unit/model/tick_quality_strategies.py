"""Hypothesis strategies for what the quality rules say of ticks."""

from __future__ import annotations

from hypothesis import strategies as st
from tests.unit.model.chain_quality_strategies import numbers, rules
from tests.unit.model.strategies import counts, int64s, texts

from tapeline.model.chain_quality import SEVERITIES
from tapeline.model.columns import INT64_MAX
from tapeline.model.tick_quality import CHECKED_KINDS, TickFinding, TickReport

findings = st.builds(
    TickFinding,
    rule=rules,
    severity=st.sampled_from(SEVERITIES),
    symbol=texts,
    count=st.integers(1, INT64_MAX),
    first_at=int64s,
    detail=texts,
    numbers=numbers,
)


@st.composite
def _reports(draw: st.DrawFn) -> TickReport:
    since, at = sorted((draw(int64s), draw(int64s)))
    return TickReport(
        source=draw(texts),
        stream=draw(texts),
        kind=draw(st.sampled_from(CHECKED_KINDS)),
        since=since,
        at=at,
        ticks=draw(counts),
        errors=draw(counts),
        warnings=draw(counts),
        findings=tuple(draw(st.lists(findings, max_size=3))),
        not_checked=draw(st.dictionaries(rules, texts, max_size=3)),
    )


tick_reports = _reports()
