"""What a user asks of history, and the requests that it is split into. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np

from tapeline.errors import Misconfigured
from tapeline.feed.cache_entry import CacheRequest
from tapeline.feed.prices import RECORD_BYTES
from tapeline_databento.subscriptions import parse_symbol

SOURCE: Final = "databento"
ENCODING: Final = "dbn.zst/3"
DAY_NS: Final = 86_400_000_000_000
MAX_SYMBOLS: Final = 2_000
"""Most symbols that the vendor takes in one request."""

_NS_PER_S: Final = 1_000_000_000
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Records of one schema and some symbols of a dataset, within [start_ns, end_ns), ns since the epoch, UTC."""

    dataset: str
    schema: str
    symbols: tuple[str, ...]
    stype_in: str
    start_ns: int
    end_ns: int

    def requests(self) -> list[CacheRequest]:
        """Return what to ask the vendor for, in order of time: a request per day, so that days are kept and shared.

        History of `mbo` holds the whole book at exactly midnight, which nothing that happened put there. The query's
        first one is a request of its own; the later ones lie between requests, as a book that is there needs none.
        """
        return [
            CacheRequest(
                source=SOURCE,
                dataset=self.dataset,
                schema=self.schema,
                symbols=self.symbols,
                stype_in=self.stype_in,
                start_ns=start_ns,
                end_ns=end_ns,
                encoding=ENCODING,
            )
            for start_ns, end_ns in split_by_day(self.start_ns, self.end_ns, with_snapshots=self.schema == "mbo")
        ]


def history_query(dataset: str, schema: str, symbols: str, start: str, end: str | None) -> HistoryQuery:
    """Return the query that the words of a command mean; without an end, the whole day of `start`.

    Raises Misconfigured that names the word, the rule and the remedy.
    """
    if schema not in RECORD_BYTES:
        raise Misconfigured(f"--schema: there is no schema {schema!r}; take one of {', '.join(sorted(RECORD_BYTES))}")
    names, stype_in = _symbols(symbols)
    start_ns = parse_time("--start", start)
    if end is None and not _DATE.fullmatch(start):
        raise Misconfigured("--end is needed where --start is more than a date")
    end_ns = start_ns + DAY_NS if end is None else parse_time("--end", end)
    if end_ns <= start_ns:
        raise Misconfigured(f"--end ({say_time(end_ns)}) must be after --start ({say_time(start_ns)})")
    return HistoryQuery(dataset, schema, names, stype_in, start_ns, end_ns)


def split_by_day(start_ns: int, end_ns: int, *, with_snapshots: bool) -> list[tuple[int, int]]:
    """Return [start_ns, end_ns) as ranges that none reaches over a midnight of UTC.

    `with_snapshots`: the first ns of a day is a range of its own at the beginning, and is left out later.
    """
    ranges: list[tuple[int, int]] = []
    while start_ns < end_ns:
        midnight_ns = start_ns // DAY_NS * DAY_NS
        until_ns = min(midnight_ns + DAY_NS, end_ns)
        if with_snapshots and start_ns == midnight_ns:
            if not ranges:
                ranges.append((start_ns, start_ns + 1))
            start_ns += 1
        if start_ns < until_ns:
            ranges.append((start_ns, until_ns))
        start_ns = until_ns
    return ranges


def parse_time(name: str, text: str) -> int:
    """Return ns since the epoch of a date or time in ISO 8601, UTC unless it says otherwise; errors call it `name`."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Misconfigured(
            f"{name} must be a date or a time in ISO 8601, like 2026-01-05 or 2026-01-05T14:30, is {text!r}"
        ) from None
    at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    return int(at.replace(microsecond=0).timestamp()) * _NS_PER_S + at.microsecond * 1_000


def vendor_time(text: str) -> int:
    """Return ns since the epoch of a time as the vendor writes it: ``2026-01-29T20:00:00.000000000Z``.

    Raises ValueError where it is none.
    """
    return int(np.datetime64(text.removesuffix("Z").removesuffix("+00:00"), "ns").astype(np.int64))


def say_time(at_ns: int) -> str:
    """Return a time for people, and as `parse_time` reads it: ``2026-01-29T20:00:00Z``."""
    seconds, ns = divmod(at_ns, _NS_PER_S)
    fraction = f".{ns:09d}".rstrip("0") if ns else ""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{fraction}Z"


def _symbols(text: str) -> tuple[tuple[str, ...], str]:
    written: Sequence[str] = [symbol.strip() for symbol in text.split(",") if symbol.strip()]
    if not written:
        raise Misconfigured("--symbols names no symbol; write for example NQ.FUT, NQZ6 or NQ.c.0")
    if len(written) > MAX_SYMBOLS:
        raise Misconfigured(f"--symbols names {len(written):,}; the vendor takes {MAX_SYMBOLS:,} at a time")
    try:
        found = [parse_symbol(symbol) for symbol in written]
    except ValueError as error:
        raise Misconfigured(f"--symbols: {error}") from None
    kinds = {kind for _, kind in found}
    if len(kinds) > 1:
        raise Misconfigured(f"--symbols mixes {' and '.join(sorted(kinds))} symbols; fetch them one kind at a time")
    return tuple(sorted({symbol for symbol, _ in found})), kinds.pop()
