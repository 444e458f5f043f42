"""Calls, bytes and saved calls, put to the machine's account: only what the plan costs is owed."""

from __future__ import annotations

from pathlib import Path

from tests.unit.barchart.test_hybrid import TUESDAY_NS, S

from tapeline.feed.ledger import UsageLedger
from tapeline.model.usage import decode_usage
from tapeline_barchart.metering import CallMeter, Counted


def test_what_was_counted_is_kept_once_and_told_as_the_day_s_row(tmp_path: Path) -> None:
    ledger = UsageLedger(tmp_path / "usage.sqlite3")
    meter = CallMeter(ledger, flat_micro_usd=30_000_000, licence_micro_usd=5_000_000)
    meter.rows(Counted(calls=3, bytes=1_000, hits=0, misses=2), TUESDAY_NS)
    rows = {
        usage.line: usage
        for usage in (
            decode_usage(row.value)
            for row in meter.rows(Counted(calls=5, bytes=1_700, hits=4, misses=3), TUESDAY_NS + 60 * S)
        )
    }
    flat = rows["flat"]
    assert (flat.requests, flat.cache_hits, flat.cache_misses, flat.day) == (5, 4, 3, "2025-06-10")
    assert flat.schemas["barchart/option-chain"].bytes == 1_700
    assert (flat.fee_micro_usd_per_month, flat.cost_micro_usd) == (30_000_000, 0)
    assert rows["licence"].fee_micro_usd_per_month == 5_000_000
    # A new start counts from nothing, and adds to the same day.
    CallMeter(ledger, flat_micro_usd=30_000_000, licence_micro_usd=0).rows(Counted(calls=1), TUESDAY_NS)
    assert {usage.line: usage.requests for usage in ledger.usages()}["flat"] == 6
