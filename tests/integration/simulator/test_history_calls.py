"""The unmodified official client asks the Historical API everything it can, synchronously and asynchronously."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import databento
import pytest
from tests.integration.simulator.historical import (
    DATASET,
    DAY_NS,
    KEY,
    MIDNIGHT,
    NOW,
    ask,
    captured,
    client,
    future,
    historical_api,
    records_in,
    small_tape,
)
from tests.unit.simulator.databento.records import SECOND, records_of

from tapeline_simulator.databento.history.pricing import USD_PER_GIGABYTE
from tapeline_simulator.databento.history.server import HistoryServer
from tapeline_simulator.databento.tape import VendorTape

FROM, UNTIL = MIDNIGHT - 30 * SECOND, MIDNIGHT + 30 * SECOND


@pytest.fixture
def tape(tmp_path: Path) -> VendorTape:
    return small_tape(tmp_path / "tape")


@pytest.fixture
async def server(tmp_path: Path, tape: VendorTape, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[HistoryServer]:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "tls" / "ca.pem"))
    async with historical_api(tmp_path, [tape], conditions={date(2026, 9, 21): "degraded"}) as server:
        yield server


@pytest.mark.parametrize(
    ("symbols", "stype_in", "ids"),
    [
        ("NQZ6", "raw_symbol", [1]),
        (["NQZ6", "ESZ6"], "raw_symbol", [1, 3]),
        ("NQ.FUT", "parent", [1, 2]),
        ("NQ.c.1", "continuous", [2]),
        (2, "instrument_id", [2]),
        (None, "raw_symbol", None),
    ],
    ids=["raw symbol", "raw symbols", "parent", "continuous", "instrument id", "all symbols"],
)
@pytest.mark.parametrize("schema", ["mbo", "trades", "definition"])
async def test_get_range_brings_exactly_the_captured_records(
    server: HistoryServer, tape: VendorTape, schema: str, symbols: object, stype_in: str, ids: list[int] | None
) -> None:
    asked = {"dataset": DATASET, "start": FROM, "end": UNTIL, "schema": schema, "stype_in": stype_in}
    store = await ask(client(server).timeseries.get_range, symbols=symbols, **asked)
    there = captured(tape, schema, FROM, UNTIL, ids)
    assert records_in(store) == there
    assert there
    count = await ask(client(server).metadata.get_record_count, symbols=symbols, **asked)
    size = await ask(client(server).metadata.get_billable_size, symbols=symbols, **asked)
    cost = await ask(client(server).metadata.get_cost, symbols=symbols, **asked)
    assert size == len(there)
    assert count == sum(1 for _ in store)
    assert cost == pytest.approx(size / 2**30 * USD_PER_GIGABYTE[schema], abs=1e-12)


async def test_metadata_say_what_was_asked_for(server: HistoryServer) -> None:
    with pytest.warns(databento.common.error.BentoWarning, match="symbols which did not resolve: NOPE"):
        store = await asyncio.to_thread(
            client(server).timeseries.get_range, DATASET, FROM, UNTIL, symbols="NQZ6,NOPE", schema="mbo", limit=7
        )
    said = store.metadata
    assert (said.version, said.dataset, str(said.schema), said.limit) == (3, DATASET, "mbo", 7)
    assert (said.start, said.end, said.ts_out) == (FROM, UNTIL, False)
    assert (str(said.stype_in), str(said.stype_out)) == ("raw_symbol", "instrument_id")
    assert (said.symbols, said.partial, said.not_found) == (["NQZ6", "NOPE"], [], ["NOPE"])
    mapped = {"start_date": date(2026, 9, 21), "end_date": date(2026, 9, 23), "symbol": "1"}
    assert said.mappings == {"NQZ6": [mapped]}
    assert [store.symbology["mappings"].keys(), sum(1 for _ in store)] == [{"NQZ6"}, 7]


async def test_metadata_name_what_was_listed_for_a_part_of_the_range(server: HistoryServer, tape: VendorTape) -> None:
    tape.listings.add(future(9, "NQU6", expires_ns=MIDNIGHT))
    store = await ask(
        client(server).timeseries.get_range, DATASET, FROM, UNTIL, symbols="NQ.FUT", stype_in="parent", schema="mbo"
    )
    assert (store.metadata.partial, store.metadata.not_found) == (["NQU6"], [])


async def test_a_range_without_data_is_a_file_without_records(server: HistoryServer) -> None:
    with pytest.warns(databento.common.error.BentoWarning, match="No data found for the request you submitted"):
        store = await asyncio.to_thread(
            client(server).timeseries.get_range, DATASET, MIDNIGHT + DAY_NS, symbols="NQZ6", schema="mbo"
        )
    assert list(store) == []


async def test_a_range_goes_to_a_file_as_well(server: HistoryServer, tape: VendorTape, tmp_path: Path) -> None:
    path = tmp_path / "nq.dbn.zst"
    await ask(client(server).timeseries.get_range, DATASET, FROM, UNTIL, symbols="NQZ6", schema="mbo", path=path)
    assert records_in(databento.DBNStore.from_file(path)) == captured(tape, "mbo", FROM, UNTIL, [1])


async def test_dates_begin_and_end_at_midnight(server: HistoryServer, tape: VendorTape) -> None:
    counted = await ask(client(server).metadata.get_record_count, DATASET, "2026-09-21", symbols="NQZ6", schema="mbo")
    assert counted == len(captured(tape, "mbo", 0, MIDNIGHT, [1])) // 56


async def test_history_holds_the_books_of_midnight(
    tmp_path: Path, tape: VendorTape, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "tls" / "ca.pem"))
    (tmp_path / "books").mkdir()
    books = VendorTape(DATASET, tmp_path / "books")
    books.append("mbo", records_of("mbo", [MIDNIGHT - DAY_NS] * 5, instrument_ids=(1, 2), latency_ns=DAY_NS))
    live = captured(tape, "mbo", FROM, UNTIL, [1])
    async with historical_api(tmp_path, [tape], snapshots={DATASET: books}) as server:
        asked = {"dataset": DATASET, "end": UNTIL, "symbols": "NQZ6", "schema": "mbo"}
        whole = records_in(await ask(client(server).timeseries.get_range, start=FROM, **asked))
        assert len(whole) == len(live) + 3 * 56
        assert captured(books, "mbo", 0, NOW, [1]) in whole
        counts = [
            await ask(client(server).metadata.get_record_count, start=start, **asked)
            for start in (FROM, MIDNIGHT, MIDNIGHT + 1)
        ]
        after = len(captured(tape, "mbo", MIDNIGHT, UNTIL, [1])) // 56
        assert counts == [len(whole) // 56, after + 3, after]


async def test_the_dataset_describes_itself(server: HistoryServer) -> None:
    metadata = client(server).metadata
    schemas = await ask(metadata.list_schemas, DATASET)
    assert schemas == ["mbo", "mbp-1", "trades", "definition", "statistics", "status"]
    assert await ask(metadata.list_datasets) == [DATASET]
    assert await ask(metadata.list_datasets, start_date="2010-06-06", end_date="2010-06-07") == [DATASET]
    assert await ask(metadata.list_datasets, start_date="2010-06-05", end_date="2010-06-06") == []
    publishers = await ask(metadata.list_publishers)
    assert [(each["publisher_id"], each["dataset"], each["venue"]) for each in publishers] == [(1, DATASET, "GLBX")]
    fields = await ask(metadata.list_fields, "mbo", "dbn")
    assert {"name": "order_id", "type": "uint64_t"} in fields
    definition = {field["name"]: field["type"] for field in await ask(metadata.list_fields, "definition", "dbn")}
    assert (definition["raw_symbol"], definition["instrument_class"]) == ("char[71]", "char")
    prices = {each["mode"]: each["unit_prices"] for each in await ask(metadata.list_unit_prices, DATASET)}
    assert set(prices) == {"historical", "historical-streaming", "live"}
    assert list(prices["historical-streaming"]) == schemas


async def test_the_dataset_is_there_up_to_a_day_ago(server: HistoryServer) -> None:
    ends = await ask(client(server).metadata.get_dataset_range, DATASET)
    assert (ends["start"], ends["end"]) == ("2010-06-06T00:00:00.000000000Z", "2026-09-26T00:00:00.000000000Z")
    assert ends["schema"]["mbo"] == {"start": ends["start"], "end": ends["end"]}
    conditions = await ask(client(server).metadata.get_dataset_condition, DATASET, "2026-09-20", "2026-09-21")
    assert [(day["date"], day["condition"]) for day in conditions] == [
        ("2026-09-20", "available"),
        ("2026-09-21", "degraded"),
    ]


async def test_symbols_are_resolved_by_days(server: HistoryServer, tape: VendorTape) -> None:
    tape.listings.add(future(9, "NQU6", expires_ns=MIDNIGHT))
    symbology = client(server).symbology
    said = await ask(
        symbology.resolve,
        DATASET,
        ["NQ.c.0", "ES.c.0", "XX.c.0"],
        "continuous",
        "raw_symbol",
        "2026-09-21",
        "2026-09-23",
    )
    assert said["result"] == {
        "NQ.c.0": [
            {"d0": "2026-09-21", "d1": "2026-09-22", "s": "NQU6"},
            {"d0": "2026-09-22", "d1": "2026-09-23", "s": "NQZ6"},
        ],
        "ES.c.0": [{"d0": "2026-09-21", "d1": "2026-09-23", "s": "ESZ6"}],
        "XX.c.0": [],
    }
    assert (said["partial"], said["not_found"], said["status"]) == ([], ["XX.c.0"], 1)


ASYNCHRONOUS = """
import asyncio, sys
import databento

async def main(url, key, dataset, start, end, path):
    get_range = databento.Historical(key, gateway=url).timeseries.get_range_async
    store = await get_range(dataset, int(start), int(end), symbols="NQZ6", schema="mbo", path=path)
    print(sum(1 for _ in store))
    try:
        await get_range(dataset, int(start), int(end), symbols="NOPE", schema="mbo")
    except databento.BentoClientError as error:
        print(error.http_status, error.json_body["detail"]["case"], bool(error.request_id))

asyncio.run(main(*sys.argv[1:]))
"""


async def test_the_asynchronous_client_trusts_and_reads_as_well(
    server: HistoryServer, tape: VendorTape, tmp_path: Path
) -> None:
    # aiohttp reads the environment's authorities when it is imported, so it takes a process of its own.
    path = tmp_path / "async.dbn.zst"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ASYNCHRONOUS, server.url, KEY, DATASET, str(FROM), str(UNTIL), str(path)),
        env={"SSL_CERT_FILE": str(tmp_path / "tls" / "ca.pem")},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    there = captured(tape, "mbo", FROM, UNTIL, [1])
    assert out.decode().split() == [str(len(there) // 56), "422", "symbology_invalid_request", "True"]
    assert records_in(databento.DBNStore.from_file(path)) == there


async def test_a_client_without_the_authority_does_not_trust_the_server(
    server: HistoryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        await ask(client(server).metadata.list_datasets)
