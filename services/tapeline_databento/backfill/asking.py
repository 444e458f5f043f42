"""What a backfill request means to the vendor: schema, symbols, and the times of capture to ask for. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tapeline.errors import Misconfigured, Refused
from tapeline.model.backfill import WHOLE_STREAM, BackfillRequest
from tapeline.model.columns import TickKind
from tapeline.model.control import Interval
from tapeline_databento.history.query import DAY_NS, MAX_SYMBOLS, HistoryQuery
from tapeline_databento.normalize import Routes
from tapeline_databento.subscriptions import KINDS, SymbolType, parse_subscriptions, parse_symbol

_BY_TIME_OF_CAPTURE: Final = ("bbo-1s", "bbo-1m")
"""What they tell is the state at a time of capture; their venue time is that of some trade before it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of the vendor for one request: `symbols`, all of one type, whose ticks go to `stream`."""

    dataset: str
    stream: str
    kind: TickKind
    schema: str
    symbols: tuple[str, ...]
    symbol_type: SymbolType

    @property
    def routes(self) -> Routes:
        """The stream of each symbol, as normalisers take it."""
        return {self.kind: dict.fromkeys(self.symbols, self.stream)}

    def captured(self, span: Interval) -> HistoryQuery:
        """Return the query for what was captured within `span`.

        History of orders holds the whole books at exactly midnight, which nothing that happened put there: that
        nanosecond is left out, whether the span begins with it or passes it.
        """
        start_ns = span.ts_event_from
        if self.schema == "mbo" and start_ns % DAY_NS == 0:
            start_ns += 1
        return HistoryQuery(self.dataset, self.schema, self.symbols, self.symbol_type, start_ns, span.ts_event_until)


def asked_of(request: BackfillRequest, subscriptions: str) -> Asked:
    """Return what to ask for; `subscriptions` are those of the live feed, whose schema of a stream is its backfill's.

    Raw symbols are asked for themselves, which costs less than their whole stream. Raises Refused for a stream that is
    not Databento's or a schema that has no venue time, Misconfigured where too many symbols are named.
    """
    prefix, separator, written = request.stream.partition("/")
    try:
        if not separator or prefix != request.dataset:
            raise ValueError(f"must begin with {request.dataset}/")
        symbol, symbol_type = parse_symbol(written)
    except ValueError as error:
        raise Refused(f"stream {request.stream!r}: {error}; name one that the Databento producer writes") from None
    schema = _schema(symbol, request.kind, subscriptions)
    if schema in _BY_TIME_OF_CAPTURE:
        raise Refused(
            f"{schema} of {request.stream} cannot be backfilled by venue time, as its records tell the state at a time"
            " of capture; subscribe to mbp-1 or tbbo where gaps are to be filled"
        )
    symbols: tuple[str, ...] = (symbol,)
    if request.symbols != WHOLE_STREAM:
        symbols, symbol_type = tuple(sorted(set(request.symbols))), "raw_symbol"
    if len(symbols) > MAX_SYMBOLS:
        raise Misconfigured(
            f"the request names {len(symbols):,} symbols, and the vendor takes {MAX_SYMBOLS:,} at a time; ask for the"
            " whole stream (*) instead"
        )
    return Asked(request.dataset, request.stream, request.kind, schema, symbols, symbol_type)


def padded(window: Interval, pad_ns: int) -> Interval:
    """Return when the records of a window of venue time may have been captured."""
    return Interval(ts_event_from=window.ts_event_from - pad_ns, ts_event_until=window.ts_event_until + pad_ns)


def spans_to_count(window: Interval, pad_ns: int) -> tuple[Interval | None, list[Interval]]:
    """Return the times of capture of a window's records: where all captured belong to it, and where some may.

    The vendor counts by time of capture, which is at most `pad_ns` away from the venue's. What was captured further
    than that inside of the window is of the window, so that the vendor's number stands; at its ends each record must be
    looked at.
    """
    begin_ns, end_ns = window.ts_event_from, window.ts_event_until
    if end_ns - begin_ns <= 2 * pad_ns:
        return None, [padded(window, pad_ns)]
    return Interval(ts_event_from=begin_ns + pad_ns, ts_event_until=end_ns - pad_ns), [
        Interval(ts_event_from=begin_ns - pad_ns, ts_event_until=begin_ns + pad_ns),
        Interval(ts_event_from=end_ns - pad_ns, ts_event_until=end_ns + pad_ns),
    ]


def _schema(symbol: str, kind: TickKind, subscriptions: str) -> str:
    for subscription in parse_subscriptions(subscriptions):
        if (subscription.symbol, subscription.kind) == (symbol, kind):
            return subscription.schema
    return next(schema for schema, its_kind in KINDS.items() if its_kind == kind)
