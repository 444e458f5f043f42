"""What is generated has the form of the real chains; and real chains, served from their files, come out as they are."""

from __future__ import annotations

import json
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.simulator.conftest import Make
from tests.unit.simulator.venue_reading import SECOND, START

from tapeline.errors import Misconfigured
from tapeline_simulator.barchart.captured import CapturedMarket
from tapeline_simulator.barchart.payload import Question, chain_answer, encode
from tapeline_simulator.barchart.venue_market import VenueMarket
from tapeline_simulator.venue import OptionSettings

ASKED = Question.of(
    {
        "groupBy": "optionType",
        "orderBy": "strike",
        "orderDir": "asc",
        "raw": "1",
        "meta": "field.shortName,field.description,field.type,lists.lastUpdate",
    }
)
PRICE = r"\d{1,3}(,\d{3})*\.\d\d"
FORMS = {
    "strike": rf"{PRICE}[CP]",
    "openPrice": rf"{PRICE}|N/A",
    "highPrice": rf"{PRICE}|N/A",
    "lowPrice": rf"{PRICE}|N/A",
    "lastPrice": rf"{PRICE}s?|N/A",
    "priceChange": rf"[+-]{PRICE}|unch|N/A",
    "bidPrice": rf"{PRICE}|N/A",
    "askPrice": rf"{PRICE}|N/A",
    "volume": r"\d{1,3}(,\d{3})*|N/A",
    "openInterest": r"\d{1,3}(,\d{3})*|N/A",
    "premium": PRICE,
    "tradeTime": r"\d\d:\d\d CT|\d\d/\d\d/\d\d|N/A",
    "longSymbol": r"(M[CMQ]\d{1,2}|NQ)[FGHJKMNQUVXZ]\d\|\d+[CP]",
    "optionType": "Call|Put",
    "symbol": r"(M[CMQ]\d{1,2}|NQ)[FGHJKMNQUVXZ]\d\|\d+[CP]",
    "symbolCode": "FUTOPT",
}


def real_answers(real_data: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted((real_data / "barchart").glob("*.json")):
        document = json.loads(path.read_bytes())
        document = document["data"] if "futures_symbol" in document else document
        if "count" in document:
            yield path, document


def rows_of(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [row for rows in answer["data"].values() for row in rows]


def generated(make: Make) -> dict[str, Any]:
    _, venue = make(options=OptionSettings(expiries=3, trades_per_s=200.0))
    venue.advance(START + 3 * SECOND)
    view = VenueMarket(venue).view()
    return chain_answer(view.rows(view.series[0].symbol), ASKED)


def kinds(rows: list[dict[str, Any]]) -> dict[str, set[str]]:
    """Return per field which types its raw value has beside which kind of text."""
    found: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        for name, raw in row["raw"].items():
            missing = "missing" if row[name] == "N/A" else "there"
            found[name].add(f"{type(raw).__name__} {missing}")
    return found


def test_generated_chains_have_the_form_of_the_real_ones(real_data: Path, make: Make) -> None:
    own, real = generated(make), [answer for _, answer in real_answers(real_data)]
    assert len(real) == 10
    seen = kinds([row for answer in real for row in rows_of(answer)])
    for answer in [*real, own]:
        assert list(answer) == ["count", "total", "data", "meta"]
        assert (answer["count"], list(answer["data"])) == (2, ["Call", "Put"])
        assert answer["total"] == len(rows_of(answer))
        for row in rows_of(answer):
            assert (list(row), list(row["raw"])) == ([*FORMS, "symbolType", "raw"], [*FORMS, "symbolType"])
            assert [name for name, form in FORMS.items() if not re.fullmatch(form, row[name])] == []
    assert own["meta"]["field"]["type"] == real[0]["meta"]["field"]["type"]
    assert own["meta"]["field"]["shortName"] == real[0]["meta"]["field"]["shortName"]
    assert list(own["meta"]["field"]["description"]) == list(real[0]["meta"]["field"]["description"])
    for name, found in kinds(rows_of(own)).items():
        assert found <= seen[name], name


def test_generated_chains_have_the_traps_of_the_real_ones(make: Make) -> None:
    rows = rows_of(generated(make))
    lasts = [row["lastPrice"] for row in rows]
    assert not lasts[0].endswith("s"), "the first row's settlement is not marked"
    assert sum(last.endswith("s") for last in lasts) > len(rows) // 2
    dated = [row for row in rows if "/" in row["tradeTime"]]
    assert {row["raw"]["tradeTime"] % 86_400 for row in dated} >= {0, 6 * 3_600}, "midnights of UTC and of Chicago"
    assert any(row["raw"]["volume"] for row in dated), "yesterday's volume"
    assert any(row["tradeTime"].endswith("CT") for row in rows)
    assert any(row["bidPrice"] == "N/A" != row["lastPrice"] for row in rows)
    assert {type(row["raw"]["lastPrice"]) for row in rows} == {int, float}
    for row in rows:
        assert row["raw"]["premium"] == row["raw"]["lastPrice"] * 20


def test_captured_chains_come_out_as_they_are_in_their_files(real_data: Path, tmp_path: Path) -> None:
    for path, answer in real_answers(real_data):
        folder = tmp_path / path.stem
        folder.mkdir()
        shutil.copy(path, folder)
        market = CapturedMarket(folder)
        (series,) = market.series
        assert series.symbol.startswith(rows_of(answer)[0]["symbol"].partition("|")[0][:-1])
        shown = chain_answer(market.rows(series.symbol), ASKED)
        assert encode(shown["data"]) == encode(answer["data"]), path.name
        assert (shown["count"], shown["total"]) == (answer["count"], answer["total"])


def test_a_folder_of_captures_is_a_market(real_data: Path) -> None:
    market = CapturedMarket(real_data / "barchart")
    listed = [(each.symbol, each.future) for each in market.series]
    assert listed == [
        ("MC6M25", "NQM25"),
        ("MC7M25", "NQM25"),
        ("MC2M25", "NQM25"),
        ("MC4M25", "NQU25"),
        ("MC6N25", "NQU25"),
    ]
    futures = {each.symbol: each.quote.last for each in market.futures}
    assert list(futures) == ["NQM25", "NQU25"]
    assert all(21_000 < float(price or 0) < 23_000 for price in futures.values())


def test_a_folder_without_chains_is_refused(tmp_path: Path) -> None:
    (tmp_path / "note.json").write_text('{"symbol": "MC4M25"}')
    with pytest.raises(Misconfigured, match="must hold captured option chains"):
        CapturedMarket(tmp_path)
