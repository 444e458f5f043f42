"""What people write as subscriptions, and what they are told where it cannot be."""

from __future__ import annotations

import pytest

from tapeline_databento.subscriptions import Subscription, parse_subscriptions


def test_every_form_of_symbol_is_told_by_its_form() -> None:
    parsed = parse_subscriptions(
        " mbo = NQ.FUT ; mbp-1=nq.opt,Q2D.OPT; trades=es.C.0, NQZ6 C21000;; definition=NQ.FUT;"
    )
    assert parsed == (
        Subscription("mbo", "NQ.FUT", "parent"),
        Subscription("mbp-1", "NQ.OPT", "parent"),
        Subscription("mbp-1", "Q2D.OPT", "parent"),
        Subscription("trades", "ES.c.0", "continuous"),
        Subscription("trades", "NQZ6 C21000", "raw_symbol"),
        Subscription("definition", "NQ.FUT", "parent"),
    )
    assert [each.kind for each in parsed] == ["mbo", "l1", "l1", "trade", "trade", None]
    assert parsed[1].stream("GLBX.MDP3") == "GLBX.MDP3/NQ.OPT"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", r"nothing is subscribed to; write for example mbo=NQ\.FUT"),
        ("mbo", r"'mbo' must be schema=symbol,symbol"),
        ("mbo=NQ.FUT; mbp1=NQ.OPT", r"'mbp1=NQ\.OPT': there is no schema 'mbp1' here; take one of mbo, mbp-1, "),
        ("mbo=NQ.FUT,", r"'mbo=NQ\.FUT,': a symbol is missing"),
        ("mbo=", r"'mbo=': a symbol is missing"),
        ("mbo=all_symbols", r"'ALL_SYMBOLS' cannot be one stream"),
        ("mbo=NQ.FUTURE", r"'NQ\.FUTURE' is no symbol: a parent ends in \.FUT"),
        ("mbo=NQ.FUT;mbo=NQ.FUT", r"mbo=NQ\.FUT is there twice"),
        ("mbp-1=NQ.FUT;tbbo=NQ.FUT", r"mbp-1=NQ\.FUT and tbbo=NQ\.FUT would both write the l1 ticks of NQ\.FUT"),
        ("mbp-1=NQ.FUT;bbo-1s=NQ.c.0", r"mbp-1=NQ\.FUT and bbo-1s=NQ\.c\.0 may be of the same contract"),
        ("mbo=NQ.FUT,NQZ6", "same contract"),
        ("mbo=NQ.FUT,NQZ6-NQH7", "same contract"),
        ("mbp-1=Q2D.OPT,Q2DZ6 C21000", "same contract"),
        ("mbo=NQ.c.0,NQ.v.0", "same contract"),
    ],
)
def test_what_cannot_be_is_named_with_its_rule_and_remedy(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_subscriptions(text)


@pytest.mark.parametrize(
    "text",
    [
        "mbo=NQ.FUT; trades=NQ.FUT",  # one stream, two kinds
        "mbp-1=NQ.FUT,NQ.OPT",
        "mbo=NQ.c.0,NQ.c.1",
        "mbo=NQZ6,NQH7",
        "mbo=NQ.FUT,ES.c.0,MNQZ6",
        "mbp-1=NQ.FUT,NQZ6 C21000",
        "definition=NQ.FUT,NQZ6",  # definitions write no stream
    ],
)
def test_what_only_looks_alike_is_no_clash(text: str) -> None:
    assert len(parse_subscriptions(text)) == 2 + text.count("MNQ")
