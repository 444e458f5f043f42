"""Hold rows that were computed anew against those on the tape, and say which are to be published again. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import orjson

from tapeline.errors import BadData
from tapeline.model.backfill import WHOLE_STREAM
from tapeline.orderflow.partition import RowMessage
from tapeline.orderflow.rows import SCHEMA

BASIS: Final = "live+backfill"
_ACROSS_THE_SESSION: Final = "cumulative_volume_delta"
_OF_THE_REVISION: Final = ("revision", "basis")
_DIGEST_BYTES: Final = 16
_MS: Final = 1_000_000


class RowKey(NamedTuple):
    """Which window of which symbol a row of one stream and kind is about."""

    symbol: str
    window_start: int
    window_ms: int


class Known(NamedTuple):
    """The newest revision of a row, and digests of what it says: of all, and of all but the session's delta."""

    revision: int
    whole: bytes
    but_delta: bytes


class NewestRows:
    """The newest revision of each row that the tape holds of one kind of one stream."""

    def __init__(self, source: str, stream: str, kind: str) -> None:
        self._head = (SCHEMA, source, stream, kind)
        self._rows: dict[RowKey, Known] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, value: bytes) -> None:
        """Take a message of rows, in the order of the tape: of equal revisions the last one counts. Raises BadData."""
        try:
            document = orjson.loads(value)
            if tuple(document[name] for name in ("schema", "source", "stream", "kind")) != self._head:
                return
            for row in document["rows"]:
                key, revision = key_of(row), int(row["revision"])
                known = self._rows.get(key)
                if known is None or known.revision <= revision:
                    self._rows[key] = _known(revision, row)
        except (ValueError, KeyError, TypeError) as error:
            raise BadData("rows", f"must be a message of {SCHEMA}: {error!r}") from None

    def find(self, key: RowKey) -> Known | None:
        """Return a row, None where the tape has none."""
        return self._rows.get(key)


@dataclass(slots=True)
class Revising:
    """Which rows of a recompute differ from the tape's, and from where on they do not.

    Rows of `symbols` whose windows end after `since` (ns since the epoch) are looked at. A row that the tape lacks is
    published where its window is within one of `filled` (both bounds included): others are still to come. The session's
    delta is compared within `corrected` only, intervals [from, until). From `settled_from` on, the first window of each
    length that is equal in all else settles its symbol.
    """

    newest: NewestRows
    symbols: tuple[str, ...]
    since: int
    filled: Sequence[tuple[int, int]]
    corrected: Sequence[tuple[int, int]]
    settled_from: int
    settled: dict[str, set[int]] = field(default_factory=dict)

    def revise(self, message: RowMessage) -> RowMessage | None:
        """Return the rows of a message that are to be published, each with its next revision; None for none."""
        document = orjson.loads(message.value)
        rows = [revised for row in document["rows"] if (revised := self._revised(row)) is not None]
        return RowMessage(message.key, orjson.dumps(document | {"rows": rows}), len(rows)) if rows else None

    def _revised(self, row: dict[str, Any]) -> dict[str, Any] | None:
        key = key_of(row)
        end = key.window_start + key.window_ms * _MS
        if end <= self.since or (self.symbols != WHOLE_STREAM and key.symbol not in self.symbols):
            return None
        known = self.newest.find(key)
        if known is None:
            if not any(begin < end and key.window_start <= last for begin, last in self.filled):
                return None
            return row | {"revision": 2, "basis": BASIS}
        fresh = _known(known.revision + 1, row)
        is_equal = fresh.but_delta == known.but_delta
        if is_equal and key.window_start >= self.settled_from:
            self.settled.setdefault(key.symbol, set()).add(key.window_ms)
        if any(begin <= key.window_start < until for begin, until in self.corrected):
            is_equal = fresh.whole == known.whole
        return None if is_equal else row | {"revision": fresh.revision, "basis": BASIS}


def revised_rows(value: bytes, source: str, stream: str, kind: str) -> int:
    """Return how many rows of a message are of this kind and were computed anew; none of one that is damaged."""
    try:
        document = orjson.loads(value)
        if tuple(document[name] for name in ("schema", "source", "stream", "kind")) != (SCHEMA, source, stream, kind):
            return 0
        return sum(row["basis"] == BASIS for row in document["rows"])
    except (ValueError, KeyError, TypeError):
        return 0


def key_of(row: Mapping[str, Any]) -> RowKey:
    """Return which window of which symbol a row is about."""
    return RowKey(row["symbol"], int(row["window_start"]), row["window_ms"])


def _known(revision: int, row: Mapping[str, Any]) -> Known:
    said = {name: value for name, value in row.items() if name not in _OF_THE_REVISION}
    whole = _digest(said)
    del said[_ACROSS_THE_SESSION]
    return Known(revision, whole, _digest(said))


def _digest(said: Mapping[str, Any]) -> bytes:
    return blake2b(orjson.dumps(said, option=orjson.OPT_SORT_KEYS), digest_size=_DIGEST_BYTES).digest()
