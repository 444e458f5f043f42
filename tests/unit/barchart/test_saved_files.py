"""Saved answers: the newest of a series, however files are named, whole, and not of the future."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from tests.unit.barchart.answers import SERIES, good
from tests.unit.barchart.test_hybrid import CHICAGO, S, at

from tapeline.feed.barchart.page import ListedSeries
from tapeline.feed.barchart.series import series_from_code
from tapeline_barchart.saved_files import SavedFolder

LISTED = ListedSeries(SERIES, "/futures/quotes/NQM25/options/MC2M25")
NOW_NS = at(2025, 6, 10, 12)


def save(folder: Path, clock: str, payload: bytes, name: str = "MC2M25") -> Path:
    day = folder / "20250610" / "api_data"
    day.mkdir(parents=True, exist_ok=True)
    path = day / f"barchart_api_{name}_{clock}.json"
    path.write_bytes(payload)
    return path


def test_the_newest_before_now_is_taken_with_the_time_in_its_name(tmp_path: Path) -> None:
    saved = SavedFolder(tmp_path, CHICAGO)
    assert saved.newest(LISTED, NOW_NS) is None
    save(tmp_path, "093000", good())
    newest = save(tmp_path, "101500", good((21_500, 21_600)))
    save(tmp_path, "130000", good())
    save(tmp_path, "110000", good().replace(b"MC2M5", b"MQ2M5"), name="MQ2M25")
    found = saved.newest(LISTED, NOW_NS)
    assert found is not None
    assert (found.series, found.payload, found.fetched_at) == (SERIES, newest.read_bytes(), at(2025, 6, 10, 10, 15))
    assert not found.is_time_assumed


def test_a_file_that_is_still_written_is_there_once_it_is_whole(tmp_path: Path) -> None:
    saved = SavedFolder(tmp_path, CHICAGO)
    save(tmp_path, "093000", good())
    path = save(tmp_path, "101500", good()[:100])
    first = saved.newest(LISTED, NOW_NS)
    assert first is not None
    assert first.fetched_at == at(2025, 6, 10, 9, 30)
    path.write_bytes(good())
    then = saved.newest(LISTED, NOW_NS)
    assert then is not None
    assert then.fetched_at == at(2025, 6, 10, 10, 15)


def test_without_a_time_zone_it_is_guessed_and_said_to_be(tmp_path: Path) -> None:
    save(tmp_path, "101500", good())
    found = SavedFolder(tmp_path, None).newest(LISTED, NOW_NS)
    assert found is not None
    assert found.is_time_assumed
    there = SavedFolder(tmp_path, ZoneInfo("America/New_York")).newest(LISTED, NOW_NS)
    assert there is not None
    assert there.fetched_at == at(2025, 6, 10, 9, 15)


def test_a_series_of_another_decade_or_what_is_no_capture_is_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    save(tmp_path, "101500", good())
    (tmp_path / "notes.json").write_text("[]")
    other = ListedSeries(series_from_code("MC2M35", at(2035, 6, 10, 9)), "")
    assert SavedFolder(tmp_path, CHICAGO).newest(other, NOW_NS + 10 * 366 * 86_400 * S) is None
    # Where it is told depends on whether this process has set up its logs.
    assert "notes.json" in capsys.readouterr().out + caplog.text
