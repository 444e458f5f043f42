"""Answers of Barchart's that somebody saved: of which series each is, and when it came. Pure.

Such a file is the answer as it came, with a ``_metadata.json`` beside it or not, or a cache entry that holds it
(``{symbol, futures_symbol, timestamp, data}``). The answer itself says neither series nor time. The series is that of
the entry or the metadata, else of the file's name, else of its rows. The time is that of the entry or the metadata,
else that of the file's name, with the date of its folder where it has none itself.

That time is mostly a clock without a zone, and the zone may differ from file to file within one folder. It is, in this
order: the one in the text (``…-05:00``, ``…PDT``); the one that is set; that in which the clock agrees with when the
file was written; that in which the clock is least after the newest trade in the answer, as no trade comes after it;
Chicago's. The last three are guesses, and the capture says so.

``futures_symbol`` is not looked at: captures have been seen whose options outlive it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import PurePath
from types import MappingProxyType
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson

from tapeline.errors import BadData
from tapeline.feed.barchart.answers import answer_object
from tapeline.feed.barchart.expiries import CHICAGO
from tapeline.feed.barchart.payload import parse_chain
from tapeline.feed.barchart.rows import rows_in
from tapeline.feed.barchart.series import VendorSeries, series_from_code
from tapeline.feed.barchart.trade_times import SECOND, trade_times
from tapeline.model.chains import Chain

METADATA_SUFFIX: Final = "_metadata.json"
ASSUMED: Final = "time_zone_assumed"
"""The flag of a chain whose time is a guess."""

_SERIES: Final = re.compile(r"(?<![A-Z0-9])(?:M[CMQ]\d{1,2}|NQ|ES)[FGHJKMNQUVXZ]\d{1,2}(?![A-Z0-9])", re.ASCII)
_DATE: Final = re.compile(r"(?<!\d)(20\d\d)(\d\d)(\d\d)(?!\d)", re.ASCII)
_CLOCK: Final = re.compile(r"(?<!\d)([01]\d|2[0-3])([0-5]\d)([0-5]\d)(Z|[A-Z]{3})?(?![\dA-Z])", re.ASCII)
_FOLDERS: Final = 3
"""So many folders above a file may hold its date."""
_OFFSETS_H: Final[Mapping[str, int]] = MappingProxyType(
    {"Z": 0, "UTC": 0, "GMT": 0, "EDT": -4, "EST": -5, "CDT": -5, "CST": -6, "MDT": -6, "MST": -7, "PDT": -7, "PST": -8}
)
_CANDIDATES: Final[tuple[tzinfo, ...]] = (
    CHICAGO,
    ZoneInfo("America/New_York"),
    ZoneInfo("America/Denver"),
    ZoneInfo("America/Los_Angeles"),
    UTC,
)
_WRITTEN_WITHIN_NS: Final = 300 * 10**9
"""A file is written at most so long after the clock that it names."""
_FRESH_NS: Final = 12 * 3_600 * 10**9
"""A trade that is older than this tells nothing of the clock."""


@dataclass(frozen=True, slots=True)
class Capture:
    """A saved answer: `payload` as it came, its series, and when it came (ns); whether that is a guess."""

    series: VendorSeries
    payload: bytes
    fetched_at: int
    is_zone_assumed: bool

    def chain(self, *, source: str, published_at: int) -> Chain:
        """Return the chain in it, as saved. Raises BadData as `parse_chain` does."""
        chain = parse_chain(
            self.payload,
            self.series,
            source=source,
            mode="saved",
            fetched_at=self.fetched_at,
            published_at=published_at,
        )
        return replace(chain, flags=(*chain.flags, ASSUMED)) if self.is_zone_assumed else chain


def read_capture(
    path: PurePath, content: bytes, metadata: bytes | None, *, written_at: int | None, zone: tzinfo | None
) -> Capture:
    """Return the capture in a file's `content`, beside which `metadata` lay.

    `written_at` (ns) is when the file was written, None where that is not known; `zone` that of clocks that name none.
    Raises BadData where it is no answer, or does not say of which series or of when it is.
    """
    document = answer_object(content)
    payload, said = content, {} if metadata is None else answer_object(metadata)
    if isinstance(inner := document.get("data"), dict) and "data" in inner:
        payload, said, document = orjson.dumps(inner), document, inner
    local = _said_time(said) or _time_of_name(path)
    if local is None:
        raise BadData("timestamp", f"must tell when it was fetched, {path.name} does not", "put metadata beside it")
    fetched_at, is_assumed = _instant(local, zone, written_at, document)
    return Capture(series_from_code(_symbol(path, said, document), fetched_at), payload, fetched_at, is_assumed)


def _symbol(path: PurePath, said: Mapping[str, Any], document: dict[str, Any]) -> str:
    symbol = said.get("symbol")
    if isinstance(symbol, str) and symbol:
        return symbol
    named = _SERIES.search(path.name)
    if named is not None:
        return named[0]
    return rows_in(document).read("symbol", str.strip)[0].partition("|")[0]


def _said_time(said: Mapping[str, Any]) -> datetime | None:
    text = said.get("timestamp")
    if text is None:
        return None
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        raise BadData("timestamp", f"must be a time such as 2025-06-12T07:18:55, is {text!r}") from None


def _time_of_name(path: PurePath) -> datetime | None:
    """Return the clock in a file's name, with the date of the name or of a folder above; None where it has none."""
    stem = path.name.partition(".")[0]
    dates = [found for part in (stem, *path.parts[-2 : -2 - _FOLDERS : -1]) if (found := _DATE.search(part))]
    # The digits of a date may look like a clock's.
    clocks = list(_CLOCK.finditer(_DATE.sub("", stem)))
    if not dates or not clocks:
        return None
    hour, minute, second, zone = clocks[-1].groups()
    year, month, day = (int(part) for part in dates[0].groups())
    try:
        local = datetime(year, month, day, int(hour), int(minute), int(second))  # noqa: DTZ001  # its zone is looked for
    except ValueError:
        return None
    return local if zone not in _OFFSETS_H else local.replace(tzinfo=timezone(timedelta(hours=_OFFSETS_H[zone])))


def _instant(
    local: datetime, zone: tzinfo | None, written_at: int | None, document: dict[str, Any]
) -> tuple[int, bool]:
    """Return the instant of a clock (ns), and whether its zone is a guess."""
    if local.tzinfo is not None or zone is not None:
        return _ns(local if local.tzinfo is not None else local.replace(tzinfo=zone)), False
    instants = [_ns(local.replace(tzinfo=candidate)) for candidate in _CANDIDATES]
    if written_at is not None:
        nearest = min(instants, key=lambda instant: abs(written_at - instant))
        if 0 <= written_at - nearest + 10**9 <= _WRITTEN_WITHIN_NS:
            return nearest, True
    newest = _newest_trade(document)
    possible = [instant for instant in instants if newest is not None and 0 <= instant - newest <= _FRESH_NS]
    return min(possible, default=instants[0]), True


def _newest_trade(document: dict[str, Any]) -> int | None:
    at, precision = trade_times(rows_in(document))
    times = at[precision == SECOND]
    return int(times.max()) if len(times) else None


def _ns(at: datetime) -> int:
    return (int(at.timestamp()) * 1_000_000 + at.microsecond) * 1_000
