"""An answer of the vendor -> a chain, or the name of what it is instead. Pure; `tapeline.feed.barchart` reads it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from tapeline.errors import BadData
from tapeline.feed.barchart.captures import ASSUMED
from tapeline.feed.barchart.on_demand import parse_on_demand
from tapeline.feed.barchart.payload import parse_chain
from tapeline.model.chains import Chain, Mode
from tapeline_barchart.errors import EmptyChain, ExpiredChain, OtherSymbol, PartialChain
from tapeline_barchart.kept import KeptChain

SOURCE: Final = "barchart"
MOST_RECORDS: Final = 20_000
"""How many records OnDemand is asked for: more than any product has contracts, as it gives 20 where it is not asked."""


def read_chain(kept: KeptChain, mode: Mode, published_at: int, delay_s: float) -> Chain:
    """Return the chain of an answer, whole and quoted, as published at `published_at` (ns) in `mode`.

    Raises BadData where it is no chain of its series: EmptyChain, PartialChain, ExpiredChain or OtherSymbol where it is
    plain which of these it is, and else what field breaks which rule.
    """
    parse = parse_chain if kept.form == "core-api" else _parse_on_demand
    try:
        chain = parse(
            kept.payload,
            kept.series,
            source=SOURCE,
            mode=mode,
            fetched_at=kept.fetched_at,
            published_at=published_at,
            underlying_price=kept.underlying_price,
            delay_s=delay_s,
        )
    except BadData as error:
        raise _named(error) from None
    _refuse_what_is_no_whole_chain(chain)
    return replace(chain, flags=(*chain.flags, ASSUMED)) if kept.is_time_assumed else chain


_parse_on_demand = partial(parse_on_demand, max_records=MOST_RECORDS)


def _refuse_what_is_no_whole_chain(chain: Chain) -> None:
    count = len(chain.contracts)
    if chain.complete is False:
        raise PartialChain(
            "contracts",
            f"must be {chain.expected or 'all'}, a call and a put of every strike, {count} came",
            "the answer was cut short: it is asked for again",
        )
    has_quotes = not chain.contracts.columns.keys().isdisjoint(("bid", "ask"))
    if has_quotes and not (chain.contracts.known("bid") | chain.contracts.known("ask")).any():
        raise ExpiredChain("contracts", f"must be quoted, none of {count} is", "the series may have expired")


def _named(error: BadData) -> BadData:
    if error.field.rpartition(".")[2] == "symbol":
        return OtherSymbol(error.field, error.rule, error.remedy)
    if error.field in ("data", "total", "results"):
        return EmptyChain(error.field, error.rule, error.remedy)
    return error
