"""The official client as its users run it, `databento.Live`: what it gets, and what it gets wrong."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import databento
import databento_dbn as dbn
import pandas as pd
import pytest
from databento.common.error import BentoError
from tests.integration.simulator.live import DEADLINE_S, KEY, QUICK, eventually, minute_of, serving, small_tape

from tapeline_simulator.databento.gateway import Gateway

WANTED: dict[str, Any] = {
    "dataset": "GLBX.MDP3",
    "schema": "mbo",
    "symbols": "ALL_SYMBOLS",
    "stype_in": "raw_symbol",
    "start": 0,
}


@asynccontextmanager
async def live(gateway: Gateway, **options: Any) -> AsyncIterator[databento.Live]:
    """A client on an event loop of its own, as two of one process must not share what this leaves behind."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    client = databento.Live(key=KEY, gateway=gateway.host, port=gateway.port, loop=loop, **options)
    try:
        yield client
    finally:
        await asyncio.to_thread(client.terminate)
        loop.call_soon_threadsafe(loop.stop)
        await asyncio.to_thread(thread.join)
        loop.close()


def orders(records: list[Any]) -> list[int]:
    return [record.order_id for record in list(records) if isinstance(record, dbn.MBOMsg)]


async def on_thread(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return await asyncio.wait_for(asyncio.to_thread(call, *args, **kwargs), DEADLINE_S)


@pytest.mark.parametrize("options", [{}, {"compression": dbn.Compression.ZSTD}, {"ts_out": True}])
async def test_a_callback_gets_the_tape(tmp_path: Path, options: dict[str, Any]) -> None:
    tape = small_tape(tmp_path)
    async with serving(tape) as gateway, live(gateway, **options) as client:
        records: list[Any] = []
        client.add_callback(records.append)
        await on_thread(client.subscribe, **WANTED)
        client.start()
        await eventually(lambda: len(orders(records)) == 600)
        assert orders(records) == list(range(600))
        assert client.symbology_map == {1: "NQZ6", 2: "NQH7", 3: "ESZ6"}
        gateway.faults.start("fin")
        await on_thread(client.block_for_close)


async def test_an_iterator_gets_the_tape(tmp_path: Path) -> None:
    tape = small_tape(tmp_path)
    async with serving(tape) as gateway, live(gateway) as client:
        await on_thread(client.subscribe, **WANTED)

        def first(count: int) -> list[int]:
            taken: list[int] = []
            for record in client:
                if isinstance(record, dbn.MBOMsg):
                    taken.append(record.order_id)
                if len(taken) == count:
                    break
            return taken

        assert await on_thread(first, 600) == list(range(600))


async def test_a_key_that_is_not_known_is_told_to_the_caller(tmp_path: Path) -> None:
    async with serving(small_tape(tmp_path)) as gateway:
        client = databento.Live(key="db-" + "x" * 29, gateway=gateway.host, port=gateway.port)
        with pytest.raises(BentoError, match="Authentication failed"):
            await on_thread(client.subscribe, **WANTED)


async def test_a_stream_is_a_file_that_the_official_store_reads(tmp_path: Path) -> None:
    tape = small_tape(tmp_path / "tape")
    async with serving(tape) as gateway, live(gateway) as client:
        path = tmp_path / "live.dbn"
        records: list[Any] = []
        client.add_stream(path)
        client.add_callback(records.append)
        await on_thread(client.subscribe, **WANTED)
        client.start()
        await eventually(lambda: len(orders(records)) == 600)
        gateway.faults.start("fin")
        await on_thread(client.block_for_close)
        assert orders(list(databento.DBNStore.from_file(path))) == list(range(600))


@pytest.mark.parametrize(("fault", "parameters"), [("rst", {}), ("error", {"code": 6})])
async def test_its_reconnect_comes_back_and_does_not_fetch_the_gap(
    tmp_path: Path, fault: str, parameters: dict[str, Any]
) -> None:
    tape = small_tape(tmp_path)
    async with serving(tape) as gateway, live(gateway, reconnect_policy="reconnect") as client:
        records: list[Any] = []
        gaps: list[tuple[pd.Timestamp, pd.Timestamp]] = []
        client.add_callback(records.append)
        client.add_reconnect_callback(lambda start, end: gaps.append((start, end)))
        await on_thread(client.subscribe, **WANTED)
        client.start()
        await eventually(lambda: len(orders(records)) == 600)
        gateway.faults.start(fault, **parameters)
        tape.append("mbo", minute_of("mbo", 600, 3))
        await eventually(lambda: gaps)
        (session,) = gateway.sessions[1:]
        await eventually(lambda: session.state == "streaming")
        tape.append("mbo", minute_of("mbo", 603, 3))
        await eventually(lambda: orders(records)[-1] == 605)
        assert orders(records) == [*range(600), 603, 604, 605]
        assert [each.start_ns for each in session.subscriptions] == [None]


async def test_its_reconnect_takes_a_clean_end_for_the_end(tmp_path: Path) -> None:
    async with serving(small_tape(tmp_path)) as gateway, live(gateway, reconnect_policy="reconnect") as client:
        await on_thread(client.subscribe, **WANTED)
        client.start()
        await eventually(lambda: gateway.sessions[0].state == "streaming")
        gateway.faults.start("fin")
        await on_thread(client.block_for_close)
        assert len(gateway.sessions) == 1


async def test_quick_heartbeats_do_not_disturb_it(tmp_path: Path) -> None:
    async with (
        serving(small_tape(tmp_path), settings=QUICK) as gateway,
        live(gateway, heartbeat_interval_s=1) as client,
    ):
        records: list[Any] = []
        client.add_callback(records.append)
        await on_thread(client.subscribe, **WANTED)
        client.start()
        await eventually(lambda: any(isinstance(each, dbn.SystemMsg) and each.is_heartbeat() for each in list(records)))
