"""The account survives processes, counts exactly, and is never begun anew in silence."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from tapeline.errors import Misconfigured
from tapeline.feed.ledger import UsageLedger
from tapeline.model.usage import SchemaUse, Usage, decode_usage, encode_usage

DAY = "2026-01-05"


def add(path: Path, times: int) -> None:
    ledger = UsageLedger(path)
    for _ in range(times):
        use = SchemaUse(56, 1_100_000, 1)
        ledger.add("databento", "metered", DAY, requests=1, cache_misses=1, uses={"GLBX.MDP3/mbo": use})


def test_what_is_added_is_there_for_the_next_process(tmp_path: Path) -> None:
    path = tmp_path / "state" / "usage.sqlite3"
    ledger = UsageLedger(path)
    ledger.add("databento", "metered", DAY, cache_hits=1, saved_micro_usd=700)
    ledger.add("databento", "metered", DAY, requests=2, uses={"D/mbo": SchemaUse(10, 5, 3)})
    ledger.add("databento", "metered", DAY, uses={"D/mbo": SchemaUse(1, 6, 4), "D/trades": SchemaUse(1, None, None)})
    assert UsageLedger(path).usages() == [
        Usage(
            source="databento",
            line="metered",
            day=DAY,
            meter=ledger.meter,
            requests=2,
            cache_hits=1,
            saved_micro_usd=700,
            schemas={"D/mbo": SchemaUse(11, 6, 7), "D/trades": SchemaUse(1, None, None)},
        )
    ]


def test_days_sources_and_lines_are_told_apart(tmp_path: Path) -> None:
    ledger = UsageLedger(tmp_path / "usage.sqlite3")
    for source, line, day in (("b", "flat", DAY), ("a", "metered", DAY), ("a", "metered", "2026-01-04")):
        ledger.add(source, line, day, requests=1)  # type: ignore[arg-type]
    told = [(usage.source, usage.line, usage.day) for usage in ledger.usages()]
    assert told == [("a", "metered", "2026-01-04"), ("a", "metered", DAY), ("b", "flat", DAY)]
    assert [usage.day for usage in ledger.usages(DAY, DAY, "a")] == [DAY]
    assert ledger.usages("2026-01-06") == []


def test_a_notional_cost_is_of_the_whole_day_and_not_of_each_addition(tmp_path: Path) -> None:
    ledger = UsageLedger(tmp_path / "usage.sqlite3")
    for _ in range(40):
        ledger.add("databento", "flat", DAY, uses={"D/mbo": SchemaUse(2**30 // 40, 1_000_000, None)})
    ledger.add("databento", "flat", DAY, uses={"D/status": SchemaUse(40, None, None)})
    (usage,) = ledger.usages()
    assert usage.notional
    assert usage.schemas["D/mbo"].cost_micro_usd == 1_000_000  # 40 roundings would make it more
    assert usage.schemas["D/status"].cost_micro_usd is None
    assert decode_usage(encode_usage(usage)) == usage


def test_a_fee_stays_until_another_is_given(tmp_path: Path) -> None:
    ledger = UsageLedger(tmp_path / "usage.sqlite3")
    ledger.add("databento", "flat", DAY, fee_micro_usd_per_month=179_000_000)
    ledger.add("databento", "flat", DAY, requests=1)
    assert ledger.usages()[0].fee_micro_usd_per_month == 179_000_000
    ledger.add("databento", "flat", DAY, fee_micro_usd_per_month=0)
    assert ledger.usages()[0].fee_micro_usd_per_month == 0


def test_several_processes_add_at_once(tmp_path: Path) -> None:
    path = tmp_path / "usage.sqlite3"
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=add, args=(path, 25)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    (usage,) = UsageLedger(path).usages()
    assert (usage.requests, usage.cache_misses, usage.schemas["GLBX.MDP3/mbo"].bytes) == (100, 100, 5600)


def test_a_row_is_to_be_published_until_its_newest_version_is(tmp_path: Path) -> None:
    ledger = UsageLedger(tmp_path / "usage.sqlite3")
    ledger.add("databento", "metered", DAY, requests=1)
    rows = ledger.unpublished("databento")
    ledger.add("databento", "metered", DAY, requests=1)  # while the first version is on its way
    ledger.mark_published(rows)
    again = ledger.unpublished("databento")
    assert [usage.requests for usage, _ in again] == [2]
    ledger.mark_published(again)
    ledger.mark_published(rows)
    assert ledger.unpublished("databento") == []
    assert ledger.unpublished("another") == []


@pytest.mark.parametrize(
    "damage", [b"not a database at all, but long enough to be one", b"SQLite format 3\0" + b"\xff" * 99]
)
def test_a_damaged_ledger_is_told_and_kept(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "usage.sqlite3"
    path.write_bytes(damage)
    with pytest.raises(Misconfigured, match=r"usage\.sqlite3 cannot be used.*move it away"):
        UsageLedger(path)
    assert path.read_bytes() == damage


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Misconfigured, match="cannot be made"):
        UsageLedger(tmp_path / "file" / "usage.sqlite3")
