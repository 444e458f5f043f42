"""Settings of gaps: what is asked for, when, and what it may cost."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from tapeline.feed.registry import backfillable
from tapeline.ops.settings import ServiceSettings
from tapeline_watchdog.gap_requests import Asking


def _sources(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


class GapSettings(ServiceSettings):
    """What happens after a gap, and how often coverage is told."""

    backfill_sources: Annotated[tuple[str, ...] | None, BeforeValidator(_sources)] = None
    """Sources whose gaps are asked for, comma separated; empty: of none; default: all that can be backfilled."""

    backfill_settle_s: float = Field(5.0, ge=0.0, le=86_400.0)
    """How long a gap must have ended before it is asked for."""

    backfill_cap_usd: Decimal | None = Field(None, ge=0, le=1_000_000, decimal_places=6)
    """Most US dollars that the backfill of one gap may cost; default: what the backfill service allows."""

    backfill_pre_open_s: float = Field(3_600.0, ge=0.0, le=86_400.0)
    """Before an open orders are taken: a gap of closed market that ends within this time before one is asked for."""

    coverage_interval_s: float = Field(5.0, ge=0.0, le=3_600.0)
    """Least time between two messages about one stream, kind and trading day; twelve times that where it only grew."""

    coverage_days: int = Field(35, ge=2, le=3_650)
    """Trading days that are looked at; what was told of older ones stays."""

    def asking(self) -> Asking:
        """Return what is asked for."""
        cap_usd = self.backfill_cap_usd
        return Asking(
            sources=backfillable() if self.backfill_sources is None else frozenset(self.backfill_sources),
            settle_ns=round(self.backfill_settle_s * 1e9),
            pre_open_ns=round(self.backfill_pre_open_s * 1e9),
            cap_micro_usd=None if cap_usd is None else int(cap_usd * 1_000_000),
        )
