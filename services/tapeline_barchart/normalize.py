"""An answer of the vendor -> a chain, or the name of what it is instead. Pure; `tapeline.feed.barchart` reads it."""

from __future__ import annotations

from typing import Final

from tapeline.errors import BadData
from tapeline.feed.barchart.payload import parse_chain
from tapeline.model.chains import Chain, Mode
from tapeline_barchart.errors import EmptyChain, ExpiredChain, OtherSymbol, PartialChain
from tapeline_barchart.kept import KeptChain

SOURCE: Final = "barchart"


def read_chain(kept: KeptChain, mode: Mode, published_at: int, delay_s: float) -> Chain:
    """Return the chain of an answer, whole and quoted, as published at `published_at` (ns) in `mode`.

    Raises BadData where it is no chain of its series: EmptyChain, PartialChain, ExpiredChain or OtherSymbol where it is
    plain which of these it is, and else what field breaks which rule.
    """
    try:
        chain = parse_chain(
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
    refuse_what_is_no_whole_chain(chain)
    return chain


def refuse_what_is_no_whole_chain(chain: Chain) -> None:
    """Raise PartialChain where contracts are missing, ExpiredChain where nobody quotes what there is."""
    if not chain.complete:
        raise PartialChain(
            "contracts",
            f"must be {chain.expected}, a call and a put of every strike, {len(chain.contracts)} came",
            "the answer was cut short: it is asked for again",
        )
    if not (chain.contracts.known("bid") | chain.contracts.known("ask")).any():
        raise ExpiredChain(
            "contracts", f"must be quoted, none of {len(chain.contracts)} is", "the series may have expired"
        )


def _named(error: BadData) -> BadData:
    if error.field.rpartition(".")[2] == "symbol":
        return OtherSymbol(error.field, error.rule, error.remedy)
    if error.field in ("data", "total"):
        return EmptyChain(error.field, error.rule, error.remedy)
    return error
