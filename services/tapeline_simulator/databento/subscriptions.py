"""What a client subscribes to: the lines of a request put together, what a replay may reach back to. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from tapeline.errors import BadData
from tapeline_simulator.databento.schemas import RTYPES
from tapeline_simulator.databento.tape import Clock

SYMBOL_TYPES: Final = ("raw_symbol", "instrument_id", "parent", "continuous")
REPLAY_NS: Final = 24 * 3_600 * 10**9
WEEKLY_SCHEMAS: Final = ("mbo", "definition")
"""Replayed since the week began, where the dataset has weekly sessions."""
WEEKLY_DATASETS: Final = ("GLBX.MDP3",)
SKIPPED_SCHEMAS: Final = ("mbp-1", "mbp-10", "bbo-1s", "bbo-1m", "cmbp-1", "cbbo-1s", "cbbo-1m")
"""Each record tells the whole state, so a slow reader may do without some."""
_BY_TS_RECV: Final = ("bbo-1s", "bbo-1m", "cbbo-1s", "cbbo-1m")
_CHICAGO: Final = ZoneInfo("America/Chicago")
_OPENING_HOUR: Final = 17
_SUNDAY: Final = 6


@dataclass(frozen=True, slots=True)
class Subscription:
    """One whole subscription. `number` is the client's, or counted from 1; `start_ns` 0 means all there is."""

    number: int
    schema: str
    stype_in: str
    symbols: tuple[str, ...]
    start_ns: int | None
    snapshot: bool


class SubscriptionLines:
    """Puts the lines of subscriptions together, which are sent in parts of at most 500 symbols."""

    def __init__(self) -> None:
        self._parts: dict[str, tuple[str, ...]] = {}
        self._count = 0

    def add(self, fields: dict[str, str]) -> Subscription | None:
        """Take the fields of one line; return the subscription once its last part is there.

        Raises BadData where a line is not what a subscription is made of.
        """
        schema, stype_in = fields.get("schema", ""), fields.get("stype_in", "")
        if schema not in RTYPES:
            raise BadData("schema", f"{schema!r} is not known")
        if stype_in not in SYMBOL_TYPES:
            raise BadData("stype_in", f"{stype_in!r} is not known")
        symbols = tuple(symbol for symbol in fields.get("symbols", "").split(",") if symbol)
        if not symbols:
            raise BadData("symbols", "must name at least one")
        start, snapshot = fields.get("start"), _flag(fields, "snapshot", "0")
        if start is not None and not start.isdecimal():
            raise BadData("start", f"{start!r} is no time in ns")
        if snapshot and schema != "mbo":
            raise BadData("snapshot", f"there is none of {schema}")
        if snapshot and start is not None:
            raise BadData("snapshot", "excludes start")
        number = fields.get("id", "")
        if number and not number.isdecimal():
            raise BadData("id", f"{number!r} is no number")
        symbols = self._parts.pop(number, ()) + symbols
        if not _flag(fields, "is_last", "1"):
            self._parts[number] = symbols
            return None
        self._count += 1
        start_ns = None if start is None else int(start)
        return Subscription(int(number or self._count), schema, stype_in, symbols, start_ns, snapshot)


def earliest_replay_ns(dataset: str, schema: str, now_ns: int) -> int:
    """Return from when on records of `schema` are replayed at `now_ns`: 24 hours, or the week if that is longer."""
    day_ago = now_ns - REPLAY_NS
    if dataset not in WEEKLY_DATASETS or schema not in WEEKLY_SCHEMAS:
        return day_ago
    now = datetime.fromtimestamp(now_ns // 10**9, UTC).astimezone(_CHICAGO)
    opening = datetime(now.year, now.month, now.day, _OPENING_HOUR, tzinfo=_CHICAGO)
    opening -= timedelta(days=(now.weekday() - _SUNDAY) % 7)
    if opening > now:
        opening -= timedelta(days=7)
    return min(day_ago, int(opening.timestamp()) * 10**9)


def replay_clock(schema: str) -> Clock:
    """Return which time of a record of `schema` the start of a replay is compared with."""
    return "ts_recv" if schema in _BY_TS_RECV else "ts_event"


def _flag(fields: dict[str, str], name: str, default: str) -> bool:
    value = fields.get(name, default)
    if value not in ("0", "1"):
        raise BadData(name, f"{value!r} is neither 0 nor 1")
    return value == "1"
