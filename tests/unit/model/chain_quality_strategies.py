"""Hypothesis strategies for what the quality rules say of option chains."""

from __future__ import annotations

from hypothesis import strategies as st
from tests.unit.model.strategies import counts, int64s, texts

from tapeline.model.chain_quality import MOST_EVIDENCE, SEVERITIES, ChainQuality, Evidence, Finding
from tapeline.model.chains import MODES, Verdict

rules = st.sampled_from(["30_completeness", "34_vertical", "41_underlying"]) | st.from_regex(
    r"[0-9]{2}_[a-z_]{1,12}", fullmatch=True
)
symbols = st.lists(texts, max_size=3).map(tuple)
numbers = st.dictionaries(texts, st.floats(allow_nan=False, allow_infinity=False), max_size=3)
evidence = st.lists(st.builds(Evidence, contracts=symbols, numbers=numbers), max_size=MOST_EVIDENCE).map(tuple)
findings = st.builds(
    Finding,
    rule=rules,
    severity=st.sampled_from(SEVERITIES),
    count=counts,
    detail=texts,
    contracts=symbols,
    evidence=evidence,
)
chain_qualities = st.builds(
    ChainQuality,
    chain=texts,
    source=texts,
    vendor=texts,
    mode=st.sampled_from(MODES),
    as_of=int64s,
    at=int64s,
    verdict=st.builds(Verdict, errors=counts, warnings=counts, rules=st.dictionaries(rules, counts, max_size=3)),
    findings=st.lists(findings, max_size=3).map(tuple),
    not_checked=st.dictionaries(rules, texts, max_size=3),
)
