"""What the cache keeps beside a file: what was asked for, what came, until when it holds. Pure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any, Final

import orjson

from tapeline.errors import BadData
from tapeline.feed.calendar import Calendar
from tapeline.model.columns import INT64_MAX
from tapeline.model.documents import dump, integer, is_null, mapping, nanoseconds, object_of, text, texts

SCHEMA: Final = "cache-entry.v1"
_SOURCE: Final = re.compile(r"[a-z0-9][a-z0-9_-]*")
_ENCODING: Final = re.compile(r"[a-z0-9]+(\.[a-z0-9]+)*/[0-9]+")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class CacheRequest:
    """What is asked of a vendor. Requests that mean the same have one key: symbols are a set.

    `start_ns` (inclusive) and `end_ns` (exclusive) are ns since the epoch, UTC. `encoding` is the files' suffix and the
    version of what is in them, ``dbn.zst/3``: a new version makes old entries unreachable.
    """

    source: str
    dataset: str
    schema: str
    symbols: tuple[str, ...]
    stype_in: str
    start_ns: int
    end_ns: int
    encoding: str

    def __post_init__(self) -> None:
        if not _SOURCE.fullmatch(self.source):
            raise BadData("source", f"must be a word of lower-case letters, digits, - and _, is {self.source!r}")
        if not _ENCODING.fullmatch(self.encoding):
            raise BadData("encoding", f"must be a suffix and a version, like dbn.zst/3, is {self.encoding!r}")
        if not 0 <= self.start_ns < self.end_ns <= INT64_MAX:
            raise BadData("start", "must be before end, both ns since the epoch")
        object.__setattr__(self, "symbols", tuple(sorted(set(self.symbols))))

    @property
    def key(self) -> str:
        """The SHA-256 of the request in its canonical form."""
        return hashlib.sha256(orjson.dumps(self.document(), option=orjson.OPT_SORT_KEYS)).hexdigest()

    @property
    def name(self) -> str:
        """What the cache calls the entry: source and key."""
        return f"{self.source}/{self.key}"

    @property
    def suffix(self) -> str:
        """What the file's name ends with."""
        return "." + self.encoding.partition("/")[0]

    def document(self) -> dict[str, Any]:
        """Return the canonical form."""
        return {
            "source": self.source,
            "dataset": self.dataset,
            "schema": self.schema,
            "symbols": list(self.symbols),
            "stype_in": self.stype_in,
            "start": str(self.start_ns),
            "end": str(self.end_ns),
            "encoding": self.encoding,
        }


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """A file of the cache. `cost_micro_usd` is what fetching it cost, so what a hit saves.

    `valid_until_ns` is None for what can no longer change, else the moment from which it must be fetched again.
    """

    request: CacheRequest
    sha256: str
    bytes: int
    records: int
    cost_micro_usd: int
    fetched_at_ns: int
    valid_until_ns: int | None = None

    def is_valid(self, at_ns: int) -> bool:
        """Return whether the entry still stands for its request."""
        return self.valid_until_ns is None or at_ns < self.valid_until_ns


def encode_entry(entry: CacheEntry) -> bytes:
    """Return the entry as the JSON that lies beside its file."""
    return dump(
        {
            "schema": SCHEMA,
            "request": entry.request.document(),
            "sha256": entry.sha256,
            "bytes": entry.bytes,
            "records": entry.records,
            "cost_micro_usd": entry.cost_micro_usd,
            "fetched_at": str(entry.fetched_at_ns),
            "valid_until": None if entry.valid_until_ns is None else str(entry.valid_until_ns),
        }
    )


def decode_entry(value: bytes) -> CacheEntry:
    """Return the entry in `value`. Raises BadData that names the field and the rule it breaks."""
    document = object_of(value, SCHEMA)
    asked = mapping(document, "request")
    sha256 = text(document, "sha256")
    if not _SHA256.fullmatch(sha256):
        raise BadData("sha256", "must be 64 hexadecimal digits")
    return CacheEntry(
        request=CacheRequest(
            **{name: text(asked, name, f"request.{name}") for name in ("source", "dataset", "schema", "encoding")},
            stype_in=text(asked, "stype_in", "request.stype_in"),
            symbols=texts(asked, "symbols", "request.symbols"),
            start_ns=nanoseconds(asked, "start", "request.start"),
            end_ns=nanoseconds(asked, "end", "request.end"),
        ),
        sha256=sha256,
        **{name: integer(document, name, 0, INT64_MAX) for name in ("bytes", "records", "cost_micro_usd")},
        fetched_at_ns=nanoseconds(document, "fetched_at"),
        valid_until_ns=None if is_null(document, "valid_until") else nanoseconds(document, "valid_until"),
    )


def valid_until(request: CacheRequest, calendar: Calendar, available_until_ns: int, fetched_at_ns: int) -> int | None:
    """Return until when (ns) an entry fetched at `fetched_at_ns` holds; None: for ever.

    What reaches past the end of what the vendor has (`available_until_ns`) lacks records and does not hold at all. What
    ends within a session that has not closed yet holds until it closes, as vendors mend a day until it is over.
    """
    last_ns = request.end_ns - 1
    if request.end_ns > available_until_ns:
        return fetched_at_ns
    if not calendar.is_open(last_ns):
        return None
    closes_ns = calendar.day_end(last_ns)
    return closes_ns if closes_ns > fetched_at_ns else None
