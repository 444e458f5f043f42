"""What is asked of the vendor, counted for md.usage.v1: calls, bytes, and calls that a kept chain saved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tapeline.feed.cache_settings import open_ledger
from tapeline.feed.cost import announcement
from tapeline.feed.ledger import UsageLedger
from tapeline.feed.prices import micro_usd
from tapeline.feed.source import Announcement
from tapeline.model.usage import SchemaUse, day_of
from tapeline_barchart.normalize import SOURCE
from tapeline_barchart.settings import BarchartSettings

SCHEMA: Final = "barchart/option-chain"


@dataclass(frozen=True, slots=True)
class Counted:
    """What was asked so far, by one producer since it started."""

    calls: int = 0
    bytes: int = 0
    hits: int = 0
    misses: int = 0


class CallMeter:
    """Puts what was asked to the machine's account, and returns its rows; owed is only what the plan costs a month."""

    def __init__(self, ledger: UsageLedger, *, flat_micro_usd: int, licence_micro_usd: int) -> None:
        self._ledger = ledger
        self._flat_micro_usd = flat_micro_usd
        self._licence_micro_usd = licence_micro_usd
        self._kept = Counted()

    def rows(self, counted: Counted, at_ns: int) -> list[Announcement]:
        """Keep what was counted since the last call; return the rows of that day and the day before. Blocks.

        Raises Misconfigured where the account cannot be used; what was counted is then kept by the next call.
        """
        today = day_of(at_ns)
        last = self._kept
        if self._licence_micro_usd:
            self._ledger.add(SOURCE, "licence", today, fee_micro_usd_per_month=self._licence_micro_usd)
        self._ledger.add(
            SOURCE,
            "flat",
            today,
            fee_micro_usd_per_month=self._flat_micro_usd,
            requests=counted.calls - last.calls,
            cache_hits=counted.hits - last.hits,
            cache_misses=counted.misses - last.misses,
            uses={SCHEMA: SchemaUse(counted.bytes - last.bytes, None, None)},
        )
        self._kept = counted
        return [announcement(usage) for usage in self._ledger.usages(day_of(at_ns, -1), today, SOURCE)]


def call_meter(settings: BarchartSettings) -> CallMeter | None:
    """Return who counts, None where the settings want nobody to. Raises Misconfigured as UsageLedger does."""
    wanted = settings.is_vendors_own if settings.count_usage is None else settings.count_usage
    if not wanted:
        return None
    return CallMeter(
        open_ledger(),
        flat_micro_usd=micro_usd(settings.flat_usd),
        licence_micro_usd=micro_usd(settings.licence_usd),
    )
