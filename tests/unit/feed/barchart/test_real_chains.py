"""Every cell of every real chain against an independent reading: JSON with exact decimals, and a few lines of rules."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tapeline.feed.barchart.payload import parse_chain
from tapeline.feed.barchart.series import series_from_code
from tapeline.model.chain_codec import decode_chain, encode_chain
from tapeline.model.chains import ABSENT, ABSENT_CODE, FLAGS, NULL, NULL_CODE, PRECISIONS, Chain

CHICAGO = ZoneInfo("America/Chicago")
EXPIRED = "20250602T141553PDT_MC6M25_expired.json"
# file: when it was fetched (the zone found by its newest trade), key, contracts
FILES = {
    EXPIRED: ("2025-06-02T14:15:53-07:00", "NQM5/2025-06-02T20:00:00Z", 576),
    "20250608_barchart_api_MC7M25_223218.json": ("2025-06-08T22:32:18-07:00", "NQM5/2025-06-09T20:00:00Z", 586),
    "20250610_barchart_api_MC2M25_074943.json": ("2025-06-10T07:49:43-07:00", "NQM5/2025-06-11T20:00:00Z", 592),
    "20250610_barchart_api_MC2M25_213417.json": ("2025-06-10T21:34:17-07:00", "NQM5/2025-06-11T20:00:00Z", 598),
    "20250612_barchart_api_MC4M25_071855.json": ("2025-06-12T07:18:55-07:00", "NQU5/2025-06-25T20:00:00Z", 178),
    "20250612_barchart_api_MC4M25_072059.json": ("2025-06-12T07:20:59-07:00", "NQU5/2025-06-25T20:00:00Z", 178),
    "20250612_barchart_api_MC4M25_155746.json": ("2025-06-12T15:57:46-07:00", "NQU5/2025-06-25T20:00:00Z", 178),
    "20250612_barchart_api_MC4M25_233909.json": ("2025-06-12T23:39:09-05:00", "NQU5/2025-06-25T20:00:00Z", 178),
    "20250625_barchart_api_MC6N5_142402.json": ("2025-06-25T14:24:02-05:00", "NQU5/2025-07-07T20:00:00Z", 180),
    "cache_entry_MC4M25_NQM25.json": ("2025-06-12T23:39:09.744768-05:00", "NQU5/2025-06-25T20:00:00Z", 178),
}
PRICES = {"open": "openPrice", "high": "highPrice", "low": "lowPrice", "change": "priceChange", "premium": "premium"}
QUOTES = {"bid": "bidPrice", "ask": "askPrice"}
COUNTS = {"volume": "volume", "open_interest": "openInterest"}


def read(file: Path) -> tuple[Chain, list[dict[str, Any]]]:
    """Return the chain, and the rows of the file read by other means."""
    document = json.loads(file.read_bytes(), parse_float=Decimal)
    payload = file.read_bytes()
    if "futures_symbol" in document:
        document = document["data"]
        payload = json.dumps(json.loads(payload)["data"]).encode()
    fetched = datetime.fromisoformat(FILES[file.name][0])
    at_ns = int(fetched.timestamp() * 1e6) * 1_000
    name = re.search(r"M[CMQ]\d[A-Z]\d{1,2}", file.name)
    assert name is not None
    chain = parse_chain(
        payload,
        series_from_code(name[0], at_ns),
        source="saved",
        mode="saved",
        fetched_at=at_ns,
        published_at=at_ns,
    )
    return chain, [row for group in document["data"].values() for row in group]


def number(text: str) -> Decimal | None:
    """The value of a formatted text."""
    if text == "N/A":
        return None
    return Decimal(0) if text == "unch" else Decimal(text.replace(",", "").rstrip("sCP"))


def scaled(value: Decimal | None, digits: int = 9) -> int:
    return NULL if value is None else int(value.scaleb(digits))


@pytest.mark.parametrize("name", FILES)
def test_every_cell_is_what_is_in_the_file(real_data: Path, name: str) -> None:
    chain, rows = read(real_data / "barchart" / name)
    contracts = chain.contracts
    _, key, count = FILES[name]
    assert (chain.key, len(contracts), chain.expected, chain.complete) == (key, count, count, True)
    assert len(rows) == count
    held = {column: contracts.columns[column].tolist() for column in contracts.columns}
    for index, row in enumerate(rows):
        raw = row["raw"]
        cells = {column: scaled(number(row[field])) for column, field in (PRICES | QUOTES).items()}
        cells |= {column: scaled(number(row[field]), 0) for column, field in COUNTS.items()}
        is_settled = row["lastPrice"].endswith("s")
        cells["last"] = scaled(number(row["lastPrice"]))
        cells["settlement"] = cells["last"] if is_settled else ABSENT
        cells["last_is_settlement"] = NULL_CODE if cells["last"] == NULL else int(is_settled)
        cells["trade_at"], cells["trade_precision"] = traded(row["tradeTime"], raw["tradeTime"])
        cells["settlement_at"] = cells["trade_at"] if is_settled else ABSENT
        assert {column: held[column][index] for column in cells} == cells, row["symbol"]
        for field in (*PRICES.values(), *QUOTES.values(), *COUNTS.values(), "lastPrice", "strike"):
            assert (number(row[field]) or 0) == (raw[field] or 0), (row["symbol"], field)
        assert contracts.vendor_symbols[index] == row["symbol"]
        assert contracts.strike[index] == scaled(Decimal(raw["strike"]))
        assert bool(contracts.is_call[index]) == (row["optionType"] == "Call")
        assert row["symbol"].endswith(f"|{raw['strike']}{row['strike'][-1]}")
    said = {column for column, values in held.items() if set(values) - {ABSENT, ABSENT_CODE}}
    assert said == {*PRICES, *QUOTES, *COUNTS, "last", "last_is_settlement", "trade_at", "trade_precision"} | {
        "settlement",
        "settlement_at",
        "volume_is_stale",
    }


def traded(text: str, raw: int | None) -> tuple[int, int]:
    if text == "N/A":
        return NULL, NULL_CODE
    if "/" in text:
        day = datetime.strptime(text, "%m/%d/%y").replace(tzinfo=UTC)
        return int(day.timestamp()) * 10**9, PRECISIONS.index("day")
    assert raw is not None
    assert datetime.fromtimestamp(raw, CHICAGO).strftime("%H:%M CT") == text
    return raw * 10**9, PRECISIONS.index("s")


@pytest.mark.parametrize("name", FILES)
def test_only_volumes_of_the_session_in_hand_are_fresh(real_data: Path, name: str) -> None:
    chain, rows = read(real_data / "barchart" / name)
    as_of = datetime.fromtimestamp(chain.as_of / 1e9, CHICAGO)
    # none of the files was taken while the market was closed, but the expired one, at the end of its session
    opened = as_of.replace(hour=17, minute=0, second=0, microsecond=0)
    opened -= timedelta(days=as_of < opened)
    expected = []
    for row in rows:
        if row["volume"] == "N/A" or row["tradeTime"] == "N/A":
            expected.append(NULL_CODE)
        elif "/" in row["tradeTime"]:
            day = datetime.strptime(row["tradeTime"], "%m/%d/%y").replace(tzinfo=CHICAGO).date()
            expected.append(int(day < (opened + timedelta(days=1)).date()))
        else:
            expected.append(int(row["raw"]["tradeTime"] < opened.timestamp()))
    assert chain.contracts.columns["volume_is_stale"].tolist() == expected
    stale = (chain.contracts.flags >> FLAGS.index("stale_volume") & 1).tolist()
    assert stale == [int(value == 1) for value in expected]


def test_the_expired_chain_is_seen_as_such(real_data: Path) -> None:
    chain, _ = read(real_data / "barchart" / EXPIRED)
    assert "expired" in chain.flags
    counts = {name: int((chain.contracts.flags >> bit & 1).sum()) for bit, name in enumerate(FLAGS)}
    assert {name: count for name, count in counts.items() if count} == {
        "off_tick": 288,
        "stale_volume": 222,
        "expired": 576,
    }
    assert not chain.contracts.known("bid").any()


@pytest.mark.parametrize("name", [name for name in FILES if name != EXPIRED])
def test_a_healthy_chain_is_neither_off_its_steps_nor_crossed(real_data: Path, name: str) -> None:
    chain, _ = read(real_data / "barchart" / name)
    assert chain.flags == ("series_from_code",)
    for flag in ("off_tick", "crossed", "locked", "expired"):
        assert not (chain.contracts.flags >> FLAGS.index(flag) & 1).any(), flag


@pytest.mark.parametrize("name", FILES)
def test_its_message_holds_all_of_it(real_data: Path, name: str) -> None:
    chain, _ = read(real_data / "barchart" / name)
    back = decode_chain(encode_chain(chain))
    assert encode_chain(back) == encode_chain(chain)


def test_the_price_of_the_future_by_parity_is_the_one_that_is_known(real_data: Path) -> None:
    chain, _ = read(real_data / "barchart" / "20250612_barchart_api_MC4M25_233909.json")
    points = chain.contracts.points("settlement")
    calls = {
        strike: price
        for strike, price, call in zip(chain.contracts.strike.tolist(), points, chain.contracts.is_call, strict=True)
        if call
    }
    forwards = sorted(
        calls[strike] - price + strike / 1e9
        for strike, price, call in zip(chain.contracts.strike.tolist(), points, chain.contracts.is_call, strict=True)
        if not call and price == price and calls[strike] == calls[strike]
    )
    assert forwards[len(forwards) // 2] == pytest.approx(22_157.0, abs=1.0)


def test_no_chain_is_left_out(real_data: Path) -> None:
    files = {file.name for file in (real_data / "barchart").glob("*.json") if not file.name.endswith("_metadata.json")}
    assert files == set(FILES)
