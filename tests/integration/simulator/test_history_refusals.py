"""What the Historical API refuses, as the unmodified official client sees it."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import databento
import pytest
import requests
from tests.integration.simulator.historical import (
    DATASET,
    DAY_NS,
    KEY,
    MIDNIGHT,
    NOW,
    ask,
    client,
    historical_api,
    small_tape,
)
from tests.unit.simulator.databento.records import SECOND

from tapeline_simulator.databento.history.server import HistoryServer
from tapeline_simulator.databento.tape import VendorTape

GOOD: dict[str, Any] = {
    "dataset": DATASET,
    "start": MIDNIGHT,
    "end": MIDNIGHT + SECOND,
    "symbols": "NQZ6",
    "schema": "mbo",
}


@pytest.fixture(autouse=True)
def trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "tls" / "ca.pem"))


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[HistoryServer]:
    (tmp_path / "other").mkdir()
    tapes = [small_tape(tmp_path / "tape"), VendorTape("XNAS.ITCH", tmp_path / "other")]
    async with historical_api(tmp_path, tapes, unentitled={"XNAS.ITCH"}) as server:
        yield server


@pytest.mark.parametrize(
    ("change", "status", "case"),
    [
        ({"dataset": "XNAS.ITCH"}, 403, "license_not_found_unauthorized"),
        ({"dataset": "NOPE"}, 422, "unknown_dataset"),
        ({"symbols": "NOPE"}, 422, "symbology_invalid_request"),
        ({"symbols": "ED.FUT", "stype_in": "parent"}, 422, "symbology_invalid_request"),
        ({"stype_in": "figi"}, 422, "symbology_invalid_request"),
        ({"schema": "ohlcv-1d"}, 422, "unavailable_schema"),
        ({"start": "yesterday"}, 422, "invalid_parameter"),
        ({"end": MIDNIGHT}, 422, "data_time_range_start_on_or_after_end"),
        ({"start": "2010-06-05"}, 422, "data_start_before_available_start"),
        ({"start": NOW, "end": NOW + 1}, 422, "data_start_after_available_end"),
        ({"end": NOW + 1}, 422, "data_end_after_available_end"),
        ({"end": NOW - DAY_NS + 1}, 422, "dataset_unavailable_range"),
    ],
)
async def test_data_and_their_price_are_refused_alike(
    server: HistoryServer, change: dict[str, Any], status: int, case: str
) -> None:
    historical = client(server)
    for call in (
        historical.timeseries.get_range,
        historical.metadata.get_record_count,
        historical.metadata.get_billable_size,
        historical.metadata.get_cost,
    ):
        with pytest.raises(databento.BentoClientError) as refused:
            await ask(call, **GOOD | change)
        error = refused.value
        assert (error.http_status, error.json_body["detail"]["case"]) == (status, case)
        assert error.json_body["detail"]["message"] in str(error)
        assert str(error).startswith(f"Request {error.request_id}: {status} {case}")
        assert error.json_body["detail"]["docs"].startswith("https://databento.com/")


async def test_a_day_ago_is_history_and_what_is_younger_says_until_when(server: HistoryServer) -> None:
    count = client(server).metadata.get_record_count
    assert await ask(count, **GOOD | {"start": NOW - 2 * DAY_NS, "end": NOW - DAY_NS}) == 0
    with pytest.raises(databento.BentoClientError, match="subscription and/or license") as refused:
        await ask(count, **GOOD | {"end": NOW - DAY_NS + 1})
    assert refused.value.json_body["detail"]["payload"]["available_end"] == "2026-09-26T00:00:00.000000000Z"


async def test_a_live_licence_opens_the_last_day(tmp_path: Path) -> None:
    async with historical_api(tmp_path, [small_tape(tmp_path / "tape")], embargo_ns=0) as server:
        assert await ask(client(server).metadata.get_record_count, **GOOD | {"end": NOW}) > 0


@pytest.mark.parametrize("key", ["db-wrong", KEY + "x", KEY[:-1], "schlüssel"])
async def test_only_the_keys_of_accounts_are_let_in(server: HistoryServer, key: str) -> None:
    with pytest.raises(databento.BentoClientError) as refused:
        await ask(client(server, key).metadata.list_datasets)
    assert refused.value.http_status == 401
    assert refused.value.json_body["detail"]["case"] == "auth_authentication_failed"
    assert key not in str(refused.value.http_body)


@pytest.mark.parametrize("credentials", [None, (KEY, "password"), ("", KEY)])
async def test_nobody_gets_in_without_basic_credentials(
    server: HistoryServer, credentials: tuple[str, str] | None
) -> None:
    answer = await ask(requests.get, f"{server.url}/v0/metadata.list_datasets", auth=credentials, timeout=30)
    assert answer.status_code == 401
    assert answer.headers["request-id"]
    bearer = {"Authorization": f"Bearer {base64.b64encode(f'{KEY}:'.encode()).decode()}"}
    answer = await ask(requests.get, f"{server.url}/v0/metadata.list_datasets", headers=bearer, timeout=30)
    assert answer.status_code == 401


async def test_a_key_that_is_taken_away_ends_its_use(tmp_path: Path) -> None:
    keys = [KEY]
    async with historical_api(tmp_path, [small_tape(tmp_path / "tape")], keys=keys) as server:
        await ask(client(server).metadata.list_datasets)
        keys.clear()
        with pytest.raises(databento.BentoClientError, match="401"):
            await ask(client(server).metadata.list_datasets)


async def test_a_number_that_is_none_is_no_limit_to_data_and_refused_for_their_price(server: HistoryServer) -> None:
    store = await ask(client(server).timeseries.get_range, limit=0, **GOOD)
    assert sum(1 for _ in store) == await ask(client(server).metadata.get_record_count, **GOOD)
    with pytest.raises(databento.BentoClientError, match="Input should be greater than 0"):
        await ask(client(server).metadata.get_cost, limit=0, **GOOD)


async def test_symbols_of_the_last_day_are_not_history(server: HistoryServer) -> None:
    resolve = client(server).symbology.resolve
    with pytest.raises(databento.BentoClientError, match="dataset_unavailable_range"):
        await ask(resolve, DATASET, "NQZ6", "raw_symbol", "instrument_id", "2026-09-26")
    with pytest.raises(databento.BentoClientError, match="data_date_range_start_on_or_after_end"):
        await ask(resolve, DATASET, "NQZ6", "raw_symbol", "instrument_id", "2026-09-22", "2026-09-22")


async def test_too_many_requests_are_told_when_to_come_again(tmp_path: Path) -> None:
    tapes = [small_tape(tmp_path / "tape")]
    async with historical_api(tmp_path, tapes, requests_per_s={"metadata": 0}) as server:
        with pytest.raises(databento.BentoClientError) as refused:
            await ask(client(server).metadata.list_datasets)
        assert refused.value.http_status == 429
        assert refused.value.headers["Retry-After"] == "1"
        assert sum(1 for _ in await ask(client(server).timeseries.get_range, **GOOD)) > 0


async def test_batches_and_other_encodings_are_not_simulated(server: HistoryServer) -> None:
    with pytest.raises(databento.BentoServerError, match="501 not_simulated") as refused:
        await ask(client(server).batch.submit_job, DATASET, "NQZ6", "mbo", MIDNIGHT, encoding="dbn")
    assert "batch.submit_job" in str(refused.value)
    form = GOOD | {"encoding": "csv"}
    answer = await ask(requests.post, f"{server.url}/v0/timeseries.get_range", form, auth=(KEY, ""), timeout=30)
    assert (answer.status_code, answer.json()["detail"]["case"]) == (501, "not_simulated")


@pytest.mark.parametrize(
    ("verb", "path"), [("GET", "metadata.nope"), ("GET", "timeseries.get_range"), ("POST", "metadata.list_datasets")]
)
async def test_what_is_no_method_is_not_found(server: HistoryServer, verb: str, path: str) -> None:
    answer = await ask(requests.request, verb, f"{server.url}/v0/{path}", auth=(KEY, ""), timeout=30)
    assert (answer.status_code, answer.json()["detail"]["case"]) == (404, "not_found")


async def test_requests_are_remembered_as_they_were_answered(server: HistoryServer) -> None:
    await ask(client(server).metadata.get_record_count, **GOOD)
    with pytest.raises(databento.BentoClientError):
        await ask(client(server).timeseries.get_range, **GOOD | {"symbols": "NOPE"})
    counted, refused = server.requests
    assert (counted.method, counted.status, counted.parameters["symbols"]) == ("metadata.get_record_count", 200, "NQZ6")
    assert (refused.method, refused.status) == ("timeseries.get_range", 422)
    assert not any(KEY in str(request) for request in server.requests)
