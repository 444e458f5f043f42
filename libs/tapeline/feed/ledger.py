"""The account of this machine: what was used and saved, by source, line and day, across runs and processes.

An SQLite file, so that several processes may add to it at once, and a crash never leaves half an entry.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, cast

from tapeline.errors import Misconfigured
from tapeline.feed.prices import cost_of
from tapeline.model.usage import Line, SchemaUse, Usage

_BUSY_S: Final = 30.0
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS meter (id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS days (
    source TEXT, line TEXT, day TEXT, fee INTEGER NOT NULL DEFAULT 0, requests INTEGER NOT NULL DEFAULT 0,
    hits INTEGER NOT NULL DEFAULT 0, misses INTEGER NOT NULL DEFAULT 0, saved INTEGER NOT NULL DEFAULT 0,
    version INTEGER NOT NULL DEFAULT 0, published INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (source, line, day)
);
CREATE TABLE IF NOT EXISTS uses (
    source TEXT, line TEXT, day TEXT, name TEXT, bytes INTEGER NOT NULL, price INTEGER, cost INTEGER,
    PRIMARY KEY (source, line, day, name)
);
"""
_ADD_DAY: Final = """
INSERT INTO days (source, line, day, fee, requests, hits, misses, saved, version)
VALUES (?1, ?2, ?3, coalesce(?4, 0), ?5, ?6, ?7, ?8, 1)
ON CONFLICT DO UPDATE SET fee = coalesce(?4, fee), requests = requests + excluded.requests, hits = hits + excluded.hits,
    misses = misses + excluded.misses, saved = saved + excluded.saved, version = version + 1
"""
_ADD_USE: Final = """
INSERT INTO uses (source, line, day, name, bytes, price, cost) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes, price = coalesce(excluded.price, price),
    cost = CASE WHEN cost IS NULL THEN excluded.cost ELSE cost + coalesce(excluded.cost, 0) END
"""


class UsageLedger:
    """Keeps what the meters and caches of this machine count. Every call is whole: it is kept, or it raises.

    Raises Misconfigured where the file cannot be used; it is never begun anew in silence, as it guards the budget.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Misconfigured(f"{path.parent}: cannot be made: {error.strerror}") from None
        with self._open() as database:
            for statement in _TABLES.split(";"):
                database.execute(statement)
            row = database.execute("SELECT id FROM meter").fetchone()
            self.meter: str = row[0] if row else secrets.token_hex(8)
            if not row:
                database.execute("INSERT INTO meter VALUES (?)", (self.meter,))

    def add(
        self,
        source: str,
        line: Line,
        day: str,
        *,
        fee_micro_usd_per_month: int | None = None,
        requests: int = 0,
        cache_hits: int = 0,
        cache_misses: int = 0,
        saved_micro_usd: int = 0,
        uses: Mapping[str, SchemaUse] | None = None,
    ) -> None:
        """Add to one day (YYYY-MM-DD, UTC) of a line; a fee and prices that are given replace those known before."""
        counts = (fee_micro_usd_per_month, requests, cache_hits, cache_misses, saved_micro_usd)
        with self._open() as database:
            database.execute(_ADD_DAY, (source, line, day, *counts))
            for name, use in (uses or {}).items():
                row = (source, line, day, name, use.bytes, use.price_micro_usd_per_gib, use.cost_micro_usd)
                database.execute(_ADD_USE, row)

    def usages(self, first_day: str = "", last_day: str = "9999", source: str | None = None) -> list[Usage]:
        """Return the rows of the days [first_day, last_day], by source, line and day."""
        with self._open() as database:
            return [usage for usage, _ in self._read(database, first_day, last_day, source, unpublished=False)]

    def unpublished(self, source: str) -> list[tuple[Usage, int]]:
        """Return the rows of a source that changed since they were last said to be published, with their versions."""
        with self._open() as database:
            return self._read(database, "", "9999", source, unpublished=True)

    def mark_published(self, rows: Sequence[tuple[Usage, int]]) -> None:
        """Note that these rows, as of their versions, are on the topic."""
        with self._open() as database:
            for usage, version in rows:
                database.execute(
                    "UPDATE days SET published = max(published, ?) WHERE source = ? AND line = ? AND day = ?",
                    (version, usage.source, usage.line, usage.day),
                )

    def _read(
        self, database: sqlite3.Connection, first_day: str, last_day: str, source: str | None, *, unpublished: bool
    ) -> list[tuple[Usage, int]]:
        found = database.execute(
            "SELECT source, line, day, fee, requests, hits, misses, saved, version FROM days "
            "WHERE day BETWEEN ? AND ? AND source = coalesce(?, source) AND (NOT ? OR version > published) "
            "ORDER BY source, line, day",
            (first_day, last_day, source, unpublished),
        ).fetchall()
        rows = []
        for of, line, day, fee, requests, hits, misses, saved, version in found:
            uses = database.execute(
                "SELECT name, bytes, price, cost FROM uses WHERE source = ? AND line = ? AND day = ? ORDER BY name",
                (of, line, day),
            ).fetchall()
            usage = Usage(
                source=of,
                line=cast(Line, line),
                day=day,
                meter=self.meter,
                notional=line == "flat",
                fee_micro_usd_per_month=fee,
                requests=requests,
                cache_hits=hits,
                cache_misses=misses,
                saved_micro_usd=saved,
                schemas={name: _use(line, *rest) for name, *rest in uses},
            )
            rows.append((usage, version))
        return rows

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection inside one transaction; made anew each time, so that threads and forks are safe."""
        try:
            database = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None)
            try:
                # What is read decides what is written: take the lock before reading.
                database.execute("BEGIN IMMEDIATE")
                yield database
                database.execute("COMMIT")
            finally:
                database.close()
        except sqlite3.Error as error:
            raise Misconfigured(
                f"the usage ledger {self._path} cannot be used: {error}; restore it, or move it away to begin anew"
            ) from None


def _use(line: str, bytes_: int, price: int | None, cost: int | None) -> SchemaUse:
    # Notional costs are of the day's whole bytes, so that many small additions are not each rounded up.
    if line == "flat":
        cost = None if price is None else cost_of(bytes_, price)
    return SchemaUse(bytes_, price, cost)
