"""Times as the Historical API takes and writes them: whole nanoseconds since the epoch, in UTC. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final

DAY_NS: Final = 86_400_000_000_000
_SECOND_NS: Final = 1_000_000_000
_LATEST_NS: Final = 2**63 - 1
_EPOCH: Final = date(1970, 1, 1)
_FORM: Final = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})"
    r"(?:[T ](?P<hour>\d{2})(?::(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.(?P<fraction>\d{1,9}))?)?)?)?"
    r"(?P<zone>Z|[+-]\d{2}:\d{2})?"
)


def parse_time(text: str) -> tuple[int, int]:
    """Return (time, resolution), both in ns, of ISO 8601 (UTC unless it says otherwise) or of ns since the epoch.

    The resolution is the unit of the last part that was given: a day for ``2024-01-02``, a minute for
    ``2024-01-02T10:30``. Raises ValueError for anything else.
    """
    if text.isdecimal():
        if int(text) > _LATEST_NS:
            raise ValueError(f"not a time: {text}")
        return int(text), 1
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"not a time: {text}")
    hour, minute, second, fraction = match.group("hour", "minute", "second", "fraction")
    clock = f"{hour or '00'}:{minute or '00'}:{second or '00'}"
    zone = match["zone"] or "+00:00"
    at = datetime.fromisoformat(f"{match['date']}T{clock}{'+00:00' if zone == 'Z' else zone}").astimezone(UTC)
    nanoseconds = int((fraction or "").ljust(9, "0"))
    return int(at.timestamp()) * _SECOND_NS + nanoseconds, _resolution_ns(hour, minute, second, fraction)


def _resolution_ns(hour: str | None, minute: str | None, second: str | None, fraction: str | None) -> int:
    if fraction is not None:
        return int(10 ** (9 - len(fraction)))
    if second is not None:
        return _SECOND_NS
    if minute is not None:
        return 60 * _SECOND_NS
    return 3_600 * _SECOND_NS if hour is not None else DAY_NS


def format_time(ns: int) -> str:
    """Return ISO 8601 with nine digits, as payloads have it: ``2026-01-29T20:00:00.000000000Z``."""
    seconds, nanoseconds = divmod(ns, _SECOND_NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"


def say_time(ns: int) -> str:
    """Return a time as messages have it: ``2026-01-29 20:00:00+00:00``, with a fraction only where there is one."""
    seconds, nanoseconds = divmod(ns, _SECOND_NS)
    fraction = f".{nanoseconds:09d}" if nanoseconds else ""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}{fraction}+00:00"


def day_of(ns: int) -> date:
    """Return the UTC day of a time."""
    return _EPOCH + timedelta(days=ns // DAY_NS)


def begin_of(day: date) -> int:
    """Return the first ns of a UTC day."""
    return (day - _EPOCH).days * DAY_NS


def day_after_last(end_ns: int) -> date:
    """Return the first UTC day that has nothing before `end_ns`."""
    return _EPOCH + timedelta(days=-(-end_ns // DAY_NS))


def days(first: date, end: date) -> Iterator[date]:
    """Yield the days of [first, end)."""
    while first < end:
        yield first
        first += timedelta(days=1)
