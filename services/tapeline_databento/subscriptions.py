"""What to subscribe to, as people write it: ``mbo=NQ.FUT; mbp-1=NQ.OPT,Q2D.OPT``. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final, Literal

from tapeline.model.columns import TickKind

SymbolType = Literal["parent", "continuous", "raw_symbol"]

KINDS: Final[dict[str, TickKind | None]] = {
    "mbo": "mbo",
    "mbp-1": "l1",
    "tbbo": "l1",
    "bbo-1s": "l1",
    "bbo-1m": "l1",
    "trades": "trade",
    "status": "status",
    "statistics": "statistics",
    "definition": None,
}
"""The kind of tick per schema; definitions are none."""

SKIPPED_WHEN_SLOW: Final = frozenset({"mbp-1", "bbo-1s", "bbo-1m"})
"""Schemas of which the gateway may leave records out for a reader that is too slow (databento.com/docs, live API)."""

_PARENT: Final = re.compile(r"(?P<root>[A-Z0-9]+)\.(?P<group>FUT|OPT|SPOT)")
_CONTINUOUS: Final = re.compile(r"(?P<root>[A-Z0-9]+)\.(?P<rule>[CNV])\.(?P<rank>\d+)", re.IGNORECASE)
_RAW: Final = re.compile(r"(?P<root>[A-Z0-9]{2,3}?)[FGHJKMNQUVXZ]\d{1,2}(?P<rest>( [CP]\d+|-\S+)?)")


@dataclass(frozen=True, slots=True)
class Subscription:
    """One schema of one symbol; `kind` is None for definitions."""

    schema: str
    symbol: str
    symbol_type: SymbolType

    @property
    def kind(self) -> TickKind | None:
        """The kind of tick that comes of it."""
        return KINDS[self.schema]

    def stream(self, dataset: str) -> str:
        """Return the stream that its ticks go to."""
        return f"{dataset}/{self.symbol}"


def parse_subscriptions(text: str) -> tuple[Subscription, ...]:
    """Return the subscriptions that `text` lists as ``schema=symbol,symbol; schema=…``.

    Raises ValueError that names the part which breaks a rule, the rule and the remedy.
    """
    found = [
        Subscription(schema, symbol, kind_of)
        for schema, symbols in _parts(text)
        for symbol, kind_of in map(parse_symbol, symbols)
    ]
    if not found:
        raise ValueError("nothing is subscribed to; write for example mbo=NQ.FUT")
    for first, second in combinations(found, 2):
        _refuse_clash(first, second)
    return tuple(found)


def _parts(text: str) -> Iterator[tuple[str, Sequence[str]]]:
    for part in filter(None, map(str.strip, text.split(";"))):
        schema, equals, symbols = part.partition("=")
        schema = schema.strip()
        if not equals:
            raise ValueError(f"{part!r} must be schema=symbol,symbol, for example mbo=NQ.FUT")
        if schema not in KINDS:
            raise ValueError(f"{part!r}: there is no schema {schema!r} here; take one of {', '.join(KINDS)}")
        listed = [symbol.strip() for symbol in symbols.split(",")]
        if not all(listed):
            raise ValueError(
                f"{part!r}: a symbol is missing after '=' or beside ','; write for example {schema}=NQ.FUT"
            )
        yield schema, listed


def parse_symbol(written: str) -> tuple[str, SymbolType]:
    """Return a symbol as the gateway spells it, and how it is meant, which its form tells."""
    if written.upper() == "ALL_SYMBOLS":
        raise ValueError("'ALL_SYMBOLS' cannot be one stream; subscribe to parents such as NQ.FUT, NQ.OPT")
    if _PARENT.fullmatch(written.upper()):
        return written.upper(), "parent"
    if (continuous := _CONTINUOUS.fullmatch(written)) is not None:
        return f"{continuous['root'].upper()}.{continuous['rule'].lower()}.{continuous['rank']}", "continuous"
    if "." in written:
        raise ValueError(
            f"{written!r} is no symbol: a parent ends in .FUT, .OPT or .SPOT, a continuous contract is like NQ.c.0"
        )
    return written.upper(), "raw_symbol"


def _refuse_clash(first: Subscription, second: Subscription) -> None:
    if first.kind != second.kind:
        return
    if first.symbol == second.symbol:
        both = f"{first.schema}={first.symbol} and {second.schema}={second.symbol}"
        if first.schema == second.schema:
            raise ValueError(f"{first.schema}={first.symbol} is there twice; leave one out")
        raise ValueError(f"{both} would both write the {first.kind} ticks of {first.symbol}; leave one out")
    if first.kind is not None and _may_overlap(first, second):
        raise ValueError(
            f"{first.schema}={first.symbol} and {second.schema}={second.symbol} may be of the same contract, which"
            " belongs to one stream only; leave one out"
        )


def _may_overlap(first: Subscription, second: Subscription) -> bool:
    """Return whether one instrument may be meant by both of two different symbols."""
    if first.symbol_type == second.symbol_type and first.symbol_type != "continuous":
        return False
    if first.symbol_type == second.symbol_type:
        # Two rules may choose the same contract; two ranks of one rule never do.
        return _root(first) == _root(second) and first.symbol.split(".")[1] != second.symbol.split(".")[1]
    return _root(first) is not None and _root(first) == _root(second)


def _root(subscription: Subscription) -> tuple[str, str] | None:
    """Return the product that a symbol is of and whether futures or options, None where its form does not tell."""
    symbol = subscription.symbol
    if (parent := _PARENT.fullmatch(symbol)) is not None:
        return parent["root"], parent["group"]
    if (continuous := _CONTINUOUS.fullmatch(symbol)) is not None:
        return continuous["root"], "FUT"
    if (raw := _RAW.fullmatch(symbol)) is not None:
        return raw["root"], "OPT" if raw["rest"].startswith(" ") else "FUT"
    return None
