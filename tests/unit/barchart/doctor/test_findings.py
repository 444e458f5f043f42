"""What the doctor makes of what it sees: green, a warning, or red with a remedy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tapeline.feed.barchart.page import ListedSeries
from tapeline.feed.barchart.series import series_from_code
from tapeline_barchart.breaker import Quiet
from tapeline_barchart.doctor.machine import cache_check, calls_check, chromium_check
from tapeline_barchart.doctor.setup import DoctorSettings
from tapeline_barchart.doctor.vendor import page_check, series_check
from tapeline_barchart.kept import KeptChain, KeptChains, KeptList
from tapeline_barchart.limits import CallLimit
from tapeline_barchart.vendor import Listing

AT_NS = 1_749_565_800_000_000_000
LISTED = tuple(ListedSeries(series_from_code(name, AT_NS), f"/{name}") for name in ("MC2M25", "MM7M25", "MQ2M25"))
MINUTE_NS = 60 * 10**9


def limit(folder: Path) -> CallLimit:
    return CallLimit(folder, "example.com", calls_per_minute=5, spacing_s=0, clock_ns=lambda: AT_NS)


async def test_calls_of_all_processes_are_counted(tmp_path: Path) -> None:
    await limit(tmp_path).take()
    check = await calls_check(limit(tmp_path), 5, AT_NS)
    assert (check.status, check.detail[:6]) == ("ok", "4 of 5")
    await limit(tmp_path).take()
    assert (await calls_check(limit(tmp_path), 5, AT_NS)).status == "warning"


async def test_calls_older_than_a_minute_are_left_again(tmp_path: Path) -> None:
    await limit(tmp_path).take()
    later = CallLimit(tmp_path, "example.com", calls_per_minute=5, spacing_s=0, clock_ns=lambda: AT_NS + 2 * MINUTE_NS)
    assert await later.used() == 0


async def test_a_host_that_wants_quiet_is_red_until_it_is_over(tmp_path: Path) -> None:
    await limit(tmp_path).keep_quiet("throttled", Quiet(AT_NS + MINUTE_NS, 1, "the site answered 429"))
    check = await calls_check(limit(tmp_path), 5, AT_NS)
    assert check.status == "red"
    assert "another 60 s: the site answered 429" in check.detail
    assert (await calls_check(limit(tmp_path), 5, AT_NS + MINUTE_NS)).status == "ok"


async def test_a_count_that_cannot_be_kept_is_red(tmp_path: Path) -> None:
    (tmp_path / "calls").write_text("no folder")
    assert (await calls_check(limit(tmp_path / "calls"), 5, AT_NS)).status == "red"


def test_chromium_that_is_missing_is_red_only_where_it_is_needed(tmp_path: Path) -> None:
    needed = chromium_check(tmp_path / "none", is_needed=True)
    assert (needed.status, needed.remedy is not None) == ("red", True)
    assert chromium_check(tmp_path / "none", is_needed=False).status == "skipped"


def test_what_is_kept_is_told_with_its_age(tmp_path: Path) -> None:
    settings = DoctorSettings.load({}, dotenv=tmp_path / "none", overrides={"kept_folder": tmp_path / "kept"})
    assert cache_check(settings, AT_NS).detail.endswith("nothing of what is followed yet")
    kept = KeptChains(tmp_path / "kept")
    (tmp_path / "kept").mkdir()
    kept.put_list("NQ", KeptList(AT_NS - 3 * MINUTE_NS, LISTED))
    kept.put(KeptChain(LISTED[0].series, "core-api", b"{}", AT_NS - 7 * MINUTE_NS, None, ""))
    check = cache_check(settings, AT_NS)
    assert check.status == "ok"
    assert check.detail.endswith("the list of NQ (3 series, 3 min old), MC2M25 (7 min old)")


def test_a_folder_that_is_none_is_red(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    given = {"kept_folder": tmp_path / "file" / "kept"}
    check = cache_check(DoctorSettings.load({}, dotenv=tmp_path / "none", overrides=given), AT_NS)
    assert check.status == "red"
    assert "TAPELINE_BARCHART_KEPT_FOLDER" in str(check.remedy)


def test_series_that_are_not_certain_are_a_warning() -> None:
    assert page_check("NQ", Listing(LISTED)).status == "ok"
    assert page_check("NQ", Listing(LISTED, ("MC10M25: no such week",))).status == "warning"


@pytest.mark.parametrize(
    ("wanted", "first", "status"),
    [
        ("next:2", "MC2M25", "ok"),
        ("all", "MC2M25", "ok"),
        ("MQ2M25", "MQ2M25", "ok"),
        ("MQ2M25, MQ4M25", "MQ2M25", "warning"),
        ("MQ4M25", None, "red"),
    ],
)
def test_the_series_that_expires_next_is_asked_for(wanted: str, first: str | None, status: str) -> None:
    found, check = series_check(Listing(LISTED), wanted, AT_NS)
    assert (None if found is None else found.series.vendor_series) == first
    assert check.status == status


def test_a_list_of_the_past_is_red() -> None:
    past = [replace(each, series=replace(each.series, expiry=AT_NS)) for each in LISTED]
    found, check = series_check(Listing(tuple(past)), "all", AT_NS)
    assert found is None
    assert "expired" in check.detail
