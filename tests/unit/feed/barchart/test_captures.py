"""Saved answers: whose they are, when they came, and how much of that is a guess."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path, PurePath
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from tests.unit.feed.barchart.answers import TRADED_S, answer, row

from tapeline.errors import BadData
from tapeline.feed.barchart.captures import METADATA_SUFFIX, Capture, read_capture

NAME = "outputs/20250610/api_data/barchart_api_MC2M25_111300.json"
UNTRADED = {"tradeTime": ("N/A", None)}


def ns(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1e6) * 1_000


def content(**cells: tuple[Any, Any]) -> bytes:
    """An answer whose newest trade was at 10:00 in Chicago on 10 June."""
    return answer([row(21_000, "Call", **cells), row(21_000, "Put", **cells)])


def read(
    name: str = NAME,
    payload: bytes | None = None,
    metadata: object = None,
    *,
    written: str | None = None,
    zone: str | None = None,
) -> Capture:
    return read_capture(
        PurePath(name),
        content() if payload is None else payload,
        None if metadata is None else orjson.dumps(metadata),
        written_at=None if written is None else ns(written),
        zone=None if zone is None else ZoneInfo(zone),
    )


@pytest.mark.parametrize(
    ("name", "instant"),
    [
        ("20250610T101200PDT_MC2M25_x.json", "2025-06-10T10:12:00-07:00"),
        ("20250610T101200CST_MC2M25.json", "2025-06-10T10:12:00-06:00"),
        ("MC2M25_20250610_171200UTC.json", "2025-06-10T17:12:00+00:00"),
        ("20250610T171200Z-MC2M25.json", "2025-06-10T17:12:00+00:00"),
    ],
)
def test_a_zone_in_the_name_is_no_guess(name: str, instant: str) -> None:
    found = read(name, zone="Asia/Tokyo")
    assert (found.fetched_at, found.is_zone_assumed) == (ns(instant), False)


def test_metadata_comes_before_the_name_and_its_offset_before_all() -> None:
    found = read(metadata={"symbol": "MC2M25", "timestamp": "2025-06-10T12:00:01.5-05:00"}, zone="Asia/Tokyo")
    assert (found.fetched_at, found.is_zone_assumed) == (ns("2025-06-10T12:00:01.5-05:00"), False)
    naive = read(metadata={"symbol": "MC2M25", "timestamp": "2025-06-10T12:00:01.5"}, zone="America/Chicago")
    assert (naive.fetched_at, naive.is_zone_assumed) == (found.fetched_at, False)


@pytest.mark.parametrize(
    ("clock", "written", "instant"),
    [
        # 13 minutes after the newest trade, in Los Angeles, Chicago and New York
        ("081300", None, "2025-06-10T08:13:00-07:00"),
        ("101300", None, "2025-06-10T10:13:00-05:00"),
        ("111300", None, "2025-06-10T11:13:00-04:00"),
        # a copy is written much later
        ("081300", "2026-01-01T00:00:00+00:00", "2025-06-10T08:13:00-07:00"),
        # what was written when it says so tells more than a trade does
        ("111300", "2025-06-10T11:13:02-05:00", "2025-06-10T11:13:00-05:00"),
        ("111300", "2025-06-10T11:18:02-05:00", "2025-06-10T11:13:00-04:00"),
    ],
)
def test_a_clock_without_a_zone_is_placed_by_what_is_near_it(clock: str, written: str | None, instant: str) -> None:
    found = read(NAME.replace("111300", clock), written=written)
    assert (found.fetched_at, found.is_zone_assumed) == (ns(instant), True)
    assert found.chain(source="saved", published_at=1).flags == ("series_from_code", "time_zone_assumed")


def test_without_a_trade_it_is_taken_for_chicagos() -> None:
    found = read(payload=content(**UNTRADED))
    assert (found.fetched_at, found.is_zone_assumed) == (ns("2025-06-10T11:13:00-05:00"), True)
    old = read(NAME.replace("20250610", "20250612"))
    assert old.fetched_at == ns("2025-06-12T11:13:00-05:00")


def test_a_cache_entry_says_symbol_and_time_of_the_answer_in_it() -> None:
    entry = {
        "symbol": "MC2M25",
        "futures_symbol": "NQM25",
        "timestamp": "2025-06-10T10:13:00.25",
        "data": orjson.loads(content()),
    }
    found = read("0a1b2c.json", orjson.dumps(entry))
    assert (found.series.vendor_series, found.fetched_at) == ("MC2M25", ns("2025-06-10T10:13:00.25-05:00"))
    assert len(found.chain(source="saved", published_at=1).contracts) == 2


def test_without_a_name_the_series_is_that_of_its_rows() -> None:
    assert read("20250610_101300.json").series.vendor_series == "MC2M25"


def test_a_wrong_series_inside_is_refused() -> None:
    wrong = read(metadata={"symbol": "MC3M25", "timestamp": "2025-06-10T10:13:00"})
    with pytest.raises(BadData, match="must be of MC3M25"):
        wrong.chain(source="saved", published_at=1)


@pytest.mark.parametrize(
    ("name", "payload", "metadata", "field"),
    [
        ("MC2M25.json", None, None, "timestamp"),
        ("MC2M25_20251310_111300.json", None, None, "timestamp"),
        ("barchart_api_MC2M25_111300.json", None, None, "timestamp"),
        (NAME, None, {"symbol": "MC2M25", "timestamp": "yesterday"}, "timestamp"),
        (NAME, content()[:-9], None, "payload"),
        (NAME, b"<html>", None, "payload"),
        (NAME, b'{"total":0}', None, "data"),
        (NAME, content(tradeTime=("soon", 1)), None, "data.Call[0].tradeTime"),
    ],
)
def test_what_does_not_say_what_it_is_is_refused(
    name: str, payload: bytes | None, metadata: object, field: str
) -> None:
    with pytest.raises(BadData) as caught:
        read(name, payload, metadata)
    assert caught.value.field == field


def test_the_newest_trade_is_the_one_that_these_tests_say() -> None:
    assert ns("2025-06-10T10:00:00-05:00") == TRADED_S * 10**9


@pytest.mark.parametrize(
    ("name", "instant"),
    [
        ("20250608_barchart_api_MC7M25_223218.json", "2025-06-08T22:32:18-07:00"),
        ("20250610_barchart_api_MC2M25_074943.json", "2025-06-10T07:49:43-07:00"),
        ("20250612_barchart_api_MC4M25_071855.json", "2025-06-12T07:18:55.023753-07:00"),
        ("20250625_barchart_api_MC6N5_142402.json", "2025-06-25T14:24:02-05:00"),
    ],
)
def test_the_zone_of_real_captures_is_found_although_it_changes(real_data: Path, name: str, instant: str) -> None:
    path = real_data / "barchart" / name
    beside = path.with_name(path.stem + METADATA_SUFFIX)
    metadata = beside.read_bytes() if beside.is_file() else None
    found = read_capture(path, path.read_bytes(), metadata, written_at=path.stat().st_mtime_ns, zone=None)
    assert (found.fetched_at, found.is_zone_assumed) == (ns(instant), True)
