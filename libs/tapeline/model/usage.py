"""Usage rows of md.usage.v1: what a source's vendor bills, or would bill, by day.

Money is whole micro-dollars (1 USD = 1,000,000), prices micro-dollars per GiB: integers add up exactly, in any order
and in any language. An amount is rounded up, once, where bytes become money.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal, cast, get_args

from tapeline.errors import BadData
from tapeline.model.columns import INT64_MAX
from tapeline.model.documents import dump, integer, is_null, mapping, object_of, one_of, text

SCHEMA: Final = "usage.v1"
TOPIC: Final = "md.usage.v1"

Line = Literal["flat", "licence", "metered"]
"""How a vendor charges: a plan's fee by the month, an exchange's licence by the month, or what was used."""

LINES: Final[tuple[Line, ...]] = get_args(Line)
_NS_PER_S: Final = 1_000_000_000
_COUNTS: Final = ("requests", "cache_hits", "cache_misses", "saved_micro_usd", "fee_micro_usd_per_month")


@dataclass(frozen=True, slots=True)
class SchemaUse:
    """What was received of one schema on one day.

    `bytes` are those that a vendor bills: of records, not compressed. The list price is None where it is not known, and
    so is a notional cost then. `cost_micro_usd` may be less than bytes and price come to, where a plan includes some.
    """

    bytes: int
    price_micro_usd_per_gib: int | None
    cost_micro_usd: int | None


@dataclass(frozen=True, slots=True)
class Usage:
    """What one meter counted for one source and line on one day (UTC); a later row of the same key replaces it.

    `schemas` maps ``<dataset>/<schema>`` to its use. On the line `flat` its costs are `notional`: what the bytes would
    have cost had they been metered; nothing is owed for them. `fee_micro_usd_per_month` is what the line costs whatever
    is used; it is the same in every row of a source and line, so it is not to be added up. `saved_micro_usd` is what
    the cache's hits would have cost.
    """

    source: str
    line: Line
    day: str
    meter: str
    notional: bool = False
    fee_micro_usd_per_month: int = 0
    requests: int = 0
    cache_hits: int = 0
    cache_misses: int = 0
    saved_micro_usd: int = 0
    schemas: Mapping[str, SchemaUse] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The message's key. Meters are told apart: two machines may use one source on one day."""
        return f"{self.source}/{self.line}/{self.day}/{self.meter}"

    @property
    def cost_micro_usd(self) -> int:
        """What the day's use comes to as far as it is known, the fee left out; owed only where it is not notional."""
        return sum(use.cost_micro_usd or 0 for use in self.schemas.values())


def day_of(at_ns: int, offset_days: int = 0) -> str:
    """Return the day (YYYY-MM-DD, UTC) of a moment in ns since the epoch, or of one so many days from it."""
    at = datetime.fromtimestamp(at_ns // _NS_PER_S, UTC) + timedelta(days=offset_days)
    return at.date().isoformat()


def encode_usage(usage: Usage) -> bytes:
    """Return the usage as JSON bytes. Raises BadData where it breaks a rule of the schema."""
    _check(usage)
    schemas = {
        name: {
            "bytes": use.bytes,
            "price_micro_usd_per_gib": use.price_micro_usd_per_gib,
            "cost_micro_usd": use.cost_micro_usd,
        }
        for name, use in usage.schemas.items()
    }
    return dump(
        {
            "schema": SCHEMA,
            "source": usage.source,
            "line": usage.line,
            "day": usage.day,
            "meter": usage.meter,
            "notional": usage.notional,
            "fee_micro_usd_per_month": usage.fee_micro_usd_per_month,
            "requests": usage.requests,
            "cache_hits": usage.cache_hits,
            "cache_misses": usage.cache_misses,
            "saved_micro_usd": usage.saved_micro_usd,
            "schemas": schemas,
        }
    )


def decode_usage(value: bytes) -> Usage:
    """Return the usage in `value`. Raises BadData that names the field and the rule it breaks."""
    document = object_of(value, SCHEMA)
    notional = document.get("notional")
    if not isinstance(notional, bool):
        raise BadData("notional", "must be true or false")
    schemas = mapping(document, "schemas")
    usage = Usage(
        source=text(document, "source"),
        line=cast(Line, one_of(document, "line", LINES)),
        day=text(document, "day"),
        meter=text(document, "meter"),
        notional=notional,
        **{name: integer(document, name, 0, INT64_MAX) for name in _COUNTS},
        schemas={name: _schema_use(name, mapping(schemas, name, f"schemas.{name}")) for name in schemas},
    )
    _check(usage)
    return usage


def _schema_use(name: str, document: Mapping[str, Any]) -> SchemaUse:
    def amount(field: str) -> int | None:
        path = f"schemas.{name}.{field}"
        return None if is_null(document, field, path) else integer(document, field, 0, INT64_MAX, path)

    return SchemaUse(
        bytes=integer(document, "bytes", 0, INT64_MAX, f"schemas.{name}.bytes"),
        price_micro_usd_per_gib=amount("price_micro_usd_per_gib"),
        cost_micro_usd=amount("cost_micro_usd"),
    )


def _check(usage: Usage) -> None:
    for name in ("source", "meter"):
        if not getattr(usage, name):
            raise BadData(name, "must not be empty")
    if usage.line not in LINES:
        raise BadData("line", f"must be one of {', '.join(LINES)}, is {usage.line!r}")
    try:
        valid_day = date.fromisoformat(usage.day).isoformat() == usage.day
    except ValueError:
        valid_day = False
    if not valid_day:
        raise BadData("day", f"must be a date as YYYY-MM-DD, is {usage.day!r}")
    if usage.notional != (usage.line == "flat"):
        raise BadData("notional", "must be true on the line flat, and only there")
    for name in _COUNTS:
        if not 0 <= getattr(usage, name) <= INT64_MAX:
            raise BadData(name, f"must be within [0, {INT64_MAX}]")
    if usage.line == "metered" and usage.fee_micro_usd_per_month:
        raise BadData("fee_micro_usd_per_month", "must be 0 on the line metered")
    for schema, use in usage.schemas.items():
        if not schema:
            raise BadData("schemas", "must not hold an empty name")
        for name in ("bytes", "price_micro_usd_per_gib", "cost_micro_usd"):
            value = getattr(use, name)
            if value is not None and not 0 <= value <= INT64_MAX:
                raise BadData(f"schemas.{schema}.{name}", f"must be within [0, {INT64_MAX}]")
