"""What each line carries, and what it asks the gateway for. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tapeline.feed.resume import TOLD_ONCE
from tapeline.feed.source import Pair
from tapeline.model.columns import TickKind
from tapeline_databento.settings import DatabentoSettings
from tapeline_databento.subscriptions import Subscription, SymbolType, parse_subscriptions

LINES: Final[Mapping[str, tuple[str, ...]]] = {
    "orders": ("mbo",),
    "quotes": ("mbp-1", "tbbo", "bbo-1s", "bbo-1m", "trades"),
    "reference": ("status", "statistics", "definition"),
}
"""The schemas of each line: connections of their own, so that one slow schema cannot hold up another."""

_NEVER_RESUMED: Final = ("bbo-1s", "bbo-1m")
"""Their replay goes by `ts_recv`, which the tape's ids do not, and is known to leave records out (databento-rs#90)."""

EVERYTHING: Final = 0
"""Where a replay of all that the gateway still has begins: over a weekend that is less than its 24 hours, and a start
before it would end the session (databento.com/docs, live API, intraday replay)."""


@dataclass(frozen=True, slots=True)
class Request:
    """One subscription as the gateway takes it; `start_ns` None: live from now."""

    schema: str
    symbols: tuple[str, ...]
    symbol_type: SymbolType
    start_ns: int | None
    snapshot: bool


@dataclass(frozen=True)
class LinePlan:
    """The subscriptions of one connection, and what follows from them."""

    name: str
    dataset: str
    subscriptions: tuple[Subscription, ...]
    routes: dict[TickKind, dict[str, str]] = field(init=False)
    """Per kind, the stream of each symbol."""

    def __post_init__(self) -> None:
        routes: dict[TickKind, dict[str, str]] = {}
        for each in self.subscriptions:
            if each.kind is not None:
                routes.setdefault(each.kind, {})[each.symbol] = each.stream(self.dataset)
        object.__setattr__(self, "routes", routes)

    @property
    def pairs(self) -> frozenset[Pair]:
        """The streams and kinds that it writes."""
        return frozenset((stream, kind) for kind, streams in self.routes.items() for stream in streams.values())

    @property
    def has_definitions(self) -> bool:
        """Whether it carries definitions."""
        return any(each.kind is None for each in self.subscriptions)

    def pairs_of(self, schemas: Iterable[str]) -> list[Pair]:
        """Return the streams and kinds of some schemas."""
        chosen = set(schemas)
        return [
            (each.stream(self.dataset), each.kind)
            for each in self.subscriptions
            if each.schema in chosen and each.kind is not None
        ]

    def kinds_by_stream(self) -> dict[str, frozenset[TickKind]]:
        """Return the kinds of each stream."""
        kinds: defaultdict[str, set[TickKind]] = defaultdict(set)
        for stream, kind in self.pairs:
            kinds[stream].add(kind)
        return {stream: frozenset(of_stream) for stream, of_stream in sorted(kinds.items())}

    def resumable(self, starts: Mapping[Pair, int]) -> dict[Pair, int]:
        """Return those of `starts` (ns, per pair) from which the gateway's replay may be taken."""
        never = set(self.pairs_of(_NEVER_RESUMED))
        return {pair: start_ns for pair, start_ns in starts.items() if pair in self.pairs and pair not in never}

    def told_before(self, ends: Container[Pair]) -> list[Pair]:
        """Return the pairs that begin anew, not being in `ends`, and with a replay of EVERYTHING: of what is told once.

        CME tells a day's settlements from the afternoon on, first preliminary ones, and open interest and cleared
        volume from that evening to the next morning. As no hour of the day is without, the newest word on each contract
        may be a whole day old.
        """
        return sorted(pair for pair in self.pairs if pair[1] in TOLD_ONCE and pair not in ends)

    def requests(self, starts: Mapping[Pair, int]) -> list[Request]:
        """Return what to ask for, where the pairs of `starts` are replayed from there on (ns, or EVERYTHING).

        All replays of a schema begin together, as the gateway tells their end per schema. Orders that are not replayed
        come with a snapshot; definitions are asked for from the week's beginning, so that all of them come.
        """
        first: dict[str, int] = {}
        grouped: defaultdict[tuple[str, SymbolType, bool], list[str]] = defaultdict(list)
        for each in self.subscriptions:
            start_ns = None if each.kind is None else starts.get((each.stream(self.dataset), each.kind))
            if start_ns is not None:
                first[each.schema] = min(start_ns, first.get(each.schema, start_ns))
            grouped[each.schema, each.symbol_type, start_ns is not None].append(each.symbol)
        return [
            Request(
                schema=schema,
                symbols=tuple(symbols),
                symbol_type=symbol_type,
                start_ns=first[schema] if is_replayed else EVERYTHING if schema == "definition" else None,
                snapshot=schema == "mbo" and not is_replayed,
            )
            for (schema, symbol_type, is_replayed), symbols in grouped.items()
        ]

    def silence_limits_s(self, settings: DatabentoSettings) -> dict[Pair, float]:
        """Return how long (s) the ticks of a pair may stay away in an open market, where there is a limit."""
        limits_s: dict[Pair, float] = {}
        for each in self.subscriptions:
            limit_s = _silence_limit_s(each, settings)
            if limit_s and each.kind is not None:
                limits_s[each.stream(self.dataset), each.kind] = limit_s
        return limits_s


def plan_lines(settings: DatabentoSettings) -> Sequence[LinePlan]:
    """Return the lines that the settings need, none of them without subscriptions."""
    subscriptions = parse_subscriptions(settings.subscriptions)
    plans = []
    for name, schemas in LINES.items():
        of_line = tuple(each for each in subscriptions if each.schema in schemas)
        if of_line:
            plans.append(LinePlan(name, settings.dataset, of_line))
    return plans


def quoted_parents(settings: DatabentoSettings) -> list[str]:
    """Return the parents whose definitions and quotes are both subscribed to."""
    subscriptions = parse_subscriptions(settings.subscriptions)
    defined = {each.symbol for each in subscriptions if each.kind is None}
    return [
        each.symbol
        for each in subscriptions
        if each.symbol_type == "parent" and each.kind in ("mbo", "l1") and each.symbol in defined
    ]


def _silence_limit_s(subscription: Subscription, settings: DatabentoSettings) -> float:
    if subscription.schema == "mbo":
        return settings.mbo_silence_s if subscription.symbol.endswith(".FUT") else 0.0
    if subscription.kind == "l1":
        return settings.quotes_silence_s
    return settings.trades_silence_s if subscription.kind == "trade" else 0.0
