"""Counting live records: never in the way of the feed, and never lost because something else fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tapeline.errors import Retryable
from tapeline.feed.cost import CostMeter, Plan
from tapeline.feed.ledger import UsageLedger
from tapeline.feed.prices import UnitPrices
from tapeline.feed.source import Announcement
from tapeline.model.usage import SchemaUse, Usage, decode_usage
from tapeline_databento.metering import LiveMeter, Unmetered, live_metering
from tapeline_databento.settings import DatabentoSettings

DEADLINE_S = 30.0
NOW_NS = 1_768_003_200_000_000_000  # 2026-01-10
KEY = "db-" + "k" * 29


class Vendor:
    """Answers with prices, once it has failed so many times."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.asked = 0

    def __call__(self) -> UnitPrices:
        self.asked += 1
        if self.asked <= self.failures:
            raise Retryable("away")
        return UnitPrices({"live": {"mbo": 2**30}})


@pytest.fixture
def ledger(tmp_path: Path) -> UsageLedger:
    return UsageLedger(tmp_path / "usage.sqlite3")


class Clock:
    now_ns = NOW_NS

    def __call__(self) -> int:
        return self.now_ns


def meter_of(ledger: UsageLedger, vendor: Vendor, clock: Clock | None = None) -> LiveMeter:
    return LiveMeter(CostMeter("databento", "D", ledger, Plan(1, 2)), vendor, clock or Clock(), every_s=0.005)


def rows(meter: LiveMeter, wanted: int) -> list[Usage]:
    """Take so many rows, as the event loop would."""
    found: list[Announcement] = []
    deadline = time.monotonic() + DEADLINE_S
    while len(found) < wanted:
        assert time.monotonic() < deadline
        found.extend(meter.due())
    return [decode_usage(each.value) for each in found]


@pytest.fixture
def stopping() -> Iterator[list[LiveMeter]]:
    meters: list[LiveMeter] = []
    yield meters
    for meter in meters:
        meter.stop()


def test_what_is_counted_is_announced_with_its_notional_cost(ledger: UsageLedger, stopping: list[LiveMeter]) -> None:
    meter = meter_of(ledger, Vendor())
    stopping.append(meter)
    meter.count("mbo", 10)
    meter.count("mbo", 5)
    flat, licence = rows(meter, 2)[:2]
    assert (flat.line, flat.notional, flat.fee_micro_usd_per_month) == ("flat", True, 1)
    assert flat.schemas == {"D/mbo": SchemaUse(15 * 56, 2**30, 15 * 56)}
    assert (licence.line, licence.fee_micro_usd_per_month) == ("licence", 2)


def test_without_prices_bytes_are_counted_and_no_cost_is_made_up(
    ledger: UsageLedger, stopping: list[LiveMeter]
) -> None:
    vendor, clock = Vendor(failures=1), Clock()
    meter = meter_of(ledger, vendor, clock)
    stopping.append(meter)
    meter.count("mbo", 1)
    assert rows(meter, 2)[0].schemas == {"D/mbo": SchemaUse(56, None, None)}
    rows(meter, 2)
    assert vendor.asked == 1  # not every time
    clock.now_ns += 3_600_000_000_000
    meter.count("mbo", 1)
    while (row := rows(meter, 2)[0]).schemas["D/mbo"].cost_micro_usd is None:
        pass
    assert row.schemas["D/mbo"] == SchemaUse(112, 2**30, 112)
    assert vendor.asked == 2


def test_what_was_counted_is_kept_at_the_end(ledger: UsageLedger) -> None:
    meter = meter_of(ledger, Vendor())
    meter.count("status", 3)
    meter.keep()
    assert ledger.usages()[0].schemas == {"D/status": SchemaUse(120, None, None)}


def test_an_account_that_cannot_be_written_neither_ends_the_feed_nor_loses_a_count(
    ledger: UsageLedger, tmp_path: Path, stopping: list[LiveMeter]
) -> None:
    path = tmp_path / "usage.sqlite3"
    good = path.read_bytes()
    path.write_bytes(b"not a database, and long enough to be seen as none")
    meter = meter_of(ledger, Vendor())
    stopping.append(meter)
    meter.count("mbo", 7)
    meter.keep()
    assert list(meter.due()) == []
    path.write_bytes(good)
    meter.keep()
    assert ledger.usages(source="databento")[0].schemas["D/mbo"].bytes == 7 * 56


def test_counting_goes_on_while_rows_are_made(ledger: UsageLedger, stopping: list[LiveMeter]) -> None:
    meter = meter_of(ledger, Vendor())
    stopping.append(meter)
    list(meter.due())

    def count() -> None:
        for _ in range(5_000):
            meter.count("mbo", 1)

    threads = [threading.Thread(target=count) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    meter.stop()
    meter.keep()
    assert ledger.usages()[0].schemas["D/mbo"].bytes == 10_000 * 56


@pytest.mark.parametrize(
    ("settings", "counts"),
    [
        ({}, True),
        ({"gateway": "127.0.0.1"}, False),
        ({"gateway": "127.0.0.1", "count_usage": "true"}, True),
        ({"count_usage": "false"}, False),
    ],
)
def test_only_what_the_vendor_sends_is_counted_unless_it_is_said(
    settings: dict[str, str], counts: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAPELINE_STATE_DIR", str(tmp_path))
    loaded = DatabentoSettings.model_validate({"api_key": KEY, **settings})
    metering = live_metering(loaded, "databento", Clock())
    assert isinstance(metering, LiveMeter) == counts
    if isinstance(metering, Unmetered):
        metering.count("mbo", 1)
        metering.keep()
        assert list(metering.due()) == []
        assert list(tmp_path.iterdir()) == []
