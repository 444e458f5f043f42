"""What the official client makes of a Historical API that goes wrong: loud where it can know it, else silent."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import databento
import pytest
import requests
from tests.integration.simulator.historical import (
    DATASET,
    KEY,
    MIDNIGHT,
    ask,
    captured,
    client,
    historical_api,
    records_in,
)
from tests.integration.simulator.historical import future as listed
from tests.unit.simulator.databento.records import SECOND, records_of

from tapeline.errors import BadData
from tapeline_simulator.databento.history.faults import Framing, HistoryFault
from tapeline_simulator.databento.history.server import HistoryServer
from tapeline_simulator.databento.tape import VendorTape

RECORDS = 40_000
GOOD: dict[str, Any] = {
    "dataset": DATASET,
    "start": MIDNIGHT,
    "end": MIDNIGHT + SECOND,
    "symbols": "NQZ6",
    "schema": "mbo",
}


@pytest.fixture
def tape(tmp_path: Path) -> VendorTape:
    """A busy second of NQZ6: too many records for one piece of a body."""
    (tmp_path / "tape").mkdir()
    tape = VendorTape(DATASET, tmp_path / "tape")
    tape.listings.add(listed(1, "NQZ6"))
    records = records_of("mbo", range(MIDNIGHT, MIDNIGHT + RECORDS))
    records["order_id"] = records["sequence"].astype("u8") * 2_654_435_761
    tape.append("mbo", records)
    return tape


@pytest.fixture
async def server(tmp_path: Path, tape: VendorTape, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[HistoryServer]:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "tls" / "ca.pem"))
    async with historical_api(tmp_path, [tape]) as server:
        yield server


async def get_range(server: HistoryServer) -> databento.DBNStore:
    return await ask(client(server).timeseries.get_range, **GOOD)


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_body_that_says_its_end_is_known_to_be_cut(server: HistoryServer, framing: Framing) -> None:
    server.faults.add(HistoryFault("cut", "timeseries.get_range", framing=framing))
    with pytest.raises(databento.BentoError, match="Error streaming response"):
        await get_range(server)
    assert sum(1 for _ in await get_range(server)) == RECORDS


@pytest.mark.filterwarnings("ignore:DBN file is truncated")  # only where the cut is inside of a record, and only said
async def test_a_body_that_ends_with_the_connection_is_silently_short(server: HistoryServer, tape: VendorTape) -> None:
    server.faults.add(HistoryFault("cut", framing="close"))
    short = records_in(await get_range(server))
    assert 0 < len(short) < RECORDS * 56
    assert captured(tape, "mbo", MIDNIGHT, MIDNIGHT + SECOND).startswith(short)
    # All that tells: the vendor's own count.
    assert await ask(client(server).metadata.get_record_count, **GOOD) == RECORDS


@pytest.mark.parametrize(
    ("framing", "said"),
    [("length", {"Content-Length"}), ("chunked", {"Transfer-Encoding"}), ("close", {"Connection"})],
)
async def test_in_each_framing_a_body_can_be_whole(server: HistoryServer, framing: Framing, said: set[str]) -> None:
    server.faults.add(HistoryFault("cut", framing=framing, share=1.0, times=2))
    assert sum(1 for _ in await get_range(server)) == RECORDS
    answer = await ask(requests.post, f"{server.url}/v0/timeseries.get_range", GOOD, auth=(KEY, ""), timeout=30)
    assert {"Content-Length", "Transfer-Encoding", "Connection"} & set(answer.headers) == said


async def test_the_vendors_framing_is_chunked(server: HistoryServer) -> None:
    form = GOOD | {"compression": "zstd"}
    answer = await ask(requests.post, f"{server.url}/v0/timeseries.get_range", form, auth=(KEY, ""), timeout=30)
    assert (answer.headers["Transfer-Encoding"], answer.headers["Content-Type"]) == ("chunked", "application/zstd")
    assert answer.headers["Content-Disposition"] == "attachment; filename=glbx-mdp3-20260922.mbo.dbn.zst"


ASYNCHRONOUS = """
import asyncio, sys
import databento

async def main(url, key, dataset, start, end):
    for _ in range(3):
        client = databento.Historical(key, gateway=url)
        try:
            store = await client.timeseries.get_range_async(dataset, int(start), int(end), symbols="NQZ6", schema="mbo")
            print("short" if sum(1 for _ in store) else "empty")
        except databento.BentoError:
            print("error")

asyncio.run(main(*sys.argv[1:]))
"""


async def test_the_asynchronous_client_is_as_blind(server: HistoryServer, tmp_path: Path) -> None:
    for framing in ("length", "chunked", "close"):
        server.faults.add(HistoryFault("cut", framing=framing))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ASYNCHRONOUS, server.url, KEY, DATASET, str(MIDNIGHT), str(MIDNIGHT + SECOND)),
        env={"SSL_CERT_FILE": str(tmp_path / "tls" / "ca.pem")},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert out.decode().split() == ["error", "error", "short"]


@pytest.mark.parametrize("status", [500, 503, 504])
async def test_the_server_fails_as_often_as_asked(server: HistoryServer, status: int) -> None:
    server.faults.add(HistoryFault("refuse", status=status, times=2))
    for call in (client(server).timeseries.get_range, client(server).metadata.get_record_count):
        with pytest.raises(databento.BentoServerError) as failed:
            await ask(call, **GOOD)
        assert failed.value.http_status == status
    assert sum(1 for _ in await get_range(server)) == RECORDS


async def test_a_command_asks_for_trouble_by_its_name(server: HistoryServer) -> None:
    server.start_fault("http-refuse", status=500, method="metadata.get_cost")
    assert sum(1 for _ in await get_range(server)) == RECORDS
    with pytest.raises(databento.BentoServerError, match="500"):
        await ask(client(server).metadata.get_cost, **GOOD)
    with pytest.raises(BadData, match=r"method: must be one of \*, timeseries\.get_range"):
        server.start_fault("http-hang", method="get_cost")


async def test_too_many_requests_say_when_to_come_again(server: HistoryServer) -> None:
    server.faults.add(HistoryFault("refuse", status=429, retry_after_s=7))
    with pytest.raises(databento.BentoClientError) as refused:
        await get_range(server)
    assert (refused.value.http_status, refused.value.headers["Retry-After"]) == (429, "7")


async def test_what_hangs_is_answered_once_the_faults_are_cleared(server: HistoryServer) -> None:
    server.faults.add(HistoryFault("hang"))
    asked = asyncio.create_task(get_range(server))
    done, _ = await asyncio.wait([asked], timeout=0.3)
    assert not done
    server.faults.clear()
    assert sum(1 for _ in await asyncio.wait_for(asked, 30)) == RECORDS


async def test_a_server_that_stops_does_not_wait_for_what_hangs(
    tmp_path: Path, tape: VendorTape, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "tls" / "ca.pem"))
    async with historical_api(tmp_path, [tape]) as server:
        server.faults.add(HistoryFault("slow", bytes_per_s=1))
        asked = asyncio.create_task(get_range(server))
        async with asyncio.timeout(30):
            while not server.requests:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    with pytest.raises(databento.BentoError):
        await asyncio.wait_for(asked, 30)


async def test_a_slow_body_comes_at_its_pace(server: HistoryServer) -> None:
    server.faults.add(HistoryFault("slow", bytes_per_s=2_000))
    began = time.monotonic()
    store = await ask(client(server).timeseries.get_range, **GOOD, limit=10)
    assert sum(1 for _ in store) == 10
    assert time.monotonic() - began > 0.1
    assert len(server.requests) == 1


async def test_a_wrong_count_disagrees_with_the_records(server: HistoryServer) -> None:
    server.faults.add(HistoryFault("count", "metadata.get_record_count", difference=-3))
    counted = [await ask(client(server).metadata.get_record_count, **GOOD) for _ in range(2)]
    assert counted == [RECORDS - 3, RECORDS]


async def test_a_client_that_goes_away_leaves_the_server_well(
    server: HistoryServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.faults.add(HistoryFault("slow", bytes_per_s=100_000))
    _, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
    writer.close()  # before its greeting is over
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LEAVING, server.url, KEY), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert out.strip() == b"200"
    async with asyncio.timeout(30):
        while is_answering():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert sum(1 for _ in await get_range(server)) == RECORDS
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def is_answering() -> bool:
    return any("_handle_request" in str(task.get_coro()) for task in asyncio.all_tasks())


LEAVING = f"""
import os, sys
import requests
url, key = sys.argv[1:]
form = {GOOD!r}
answer = requests.post(url + "/v0/timeseries.get_range", form, auth=(key, ""), stream=True, timeout=30)
print(answer.status_code, flush=True)
os._exit(0)
"""
