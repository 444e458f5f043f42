"""Readers that do not keep pace: warned, or spared records where each tells the whole state."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import databento_dbn as dbn
import pytest
from tests.integration.simulator.live import QUICK, Client, eventually, minute_of, serving, small_tape, started

from tapeline_simulator.databento.gateway import Gateway
from tapeline_simulator.databento.tape import VendorTape

EVERYTHING = {"symbols": "ALL_SYMBOLS", "stype_in": "raw_symbol"}
SMALL = dataclasses.replace(QUICK, send_buffer_bytes=16_384, heartbeat_interval_s=60)
MANY = 100_000
WARNING = "Warning: slow reading, not keeping pace with {} data"


async def slow_session(
    gateway: Gateway, tape: VendorTape, *schemas: str, during: Callable[[], None] = lambda: None, **options: Any
) -> Client:
    """A client that stops reading while MANY records of each schema are captured, until the gateway has noticed."""
    client = await started(gateway, *(EVERYTHING | {"schema": schema} for schema in schemas), **options)
    await client.until(lambda: len(client.notices) == len(schemas))
    client.transport.pause_reading()
    for first in range(600, 600 + MANY, 20_000):
        for schema in schemas:
            tape.append(schema, minute_of(schema, first, 20_000))
    (session,) = gateway.sessions
    sent = -1
    while sent != session.connection.bytes_sent:
        sent = session.connection.bytes_sent
        await asyncio.sleep(SMALL.slow_after_s + 0.05)
    during()
    client.transport.resume_reading()
    return client


async def test_orders_are_never_skipped_and_the_reader_is_warned(tmp_path: Path) -> None:
    tape = small_tape(tmp_path)
    async with serving(tape, settings=SMALL) as gateway:
        client = await slow_session(gateway, tape, "mbo", slow_reader_behavior="skip")
        await client.until(lambda: len(client.records) >= MANY and len(client.of(dbn.MBOMsg)) == MANY)
        assert WARNING.format("mbo") in client.notices
        assert client.errors == []
        assert [record.order_id for record in client.of(dbn.MBOMsg)] == list(range(600, 600 + MANY))


async def test_quotes_are_not_skipped_where_the_client_asked_for_warnings(tmp_path: Path) -> None:
    tape = small_tape(tmp_path, schemas=("mbp-1",))
    async with serving(tape, settings=SMALL) as gateway:
        client = await slow_session(gateway, tape, "mbp-1", slow_reader_behavior="warn")
        await client.until(lambda: len(client.records) >= MANY and len(client.of(dbn.MBP1Msg)) == MANY)
        assert WARNING.format("mbp-1") in client.notices
        assert client.errors == []


@pytest.mark.parametrize("options", [{}, {"slow_reader_behavior": "skip"}])
async def test_quotes_are_skipped_to_the_present_and_the_reader_is_told(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    tape = small_tape(tmp_path, schemas=("mbp-1",))
    async with serving(tape, settings=SMALL) as gateway:
        client = await slow_session(gateway, tape, "mbp-1", **options)
        await client.until(lambda: isinstance(client.records[-1], dbn.ErrorMsg))
        assert client.errors == [(7, "Slow client detected for mbp-1. Skipped records")]
        received = [record.ts_event for record in client.of(dbn.MBP1Msg)]
        assert 0 < len(received) < MANY
        assert received == minute_of("mbp-1", 600, len(received))["ts_event"].tolist()
        tape.append("mbp-1", minute_of("mbp-1", 600 + MANY, 3))
        await client.until(lambda: len(client.of(dbn.MBP1Msg)) == len(received) + 3)
        assert client.records[-1].ts_event == minute_of("mbp-1", 600 + MANY, 3)["ts_event"][-1]
        (session,) = gateway.sessions
        await eventually(lambda: sum(session.ledger.counts()["mbp-1"].values()) == len(received) + 3)


async def test_the_fault_warns_a_client_once(tmp_path: Path) -> None:
    tape = small_tape(tmp_path)
    async with serving(tape) as gateway:
        client = await started(gateway, {"schema": "mbo"}, {"schema": "trades"}, slow_reader_behavior="warn")
        gateway.faults.start("slow-reader", seconds=0.2)
        await client.until(lambda: len(client.notices) == 4)
        assert client.notices[2:] == [WARNING.format("mbo"), WARNING.format("trades")]
        await eventually(lambda: not gateway.faults.active())
        tape.append("mbo", minute_of("mbo", 600, 3))
        await client.until(lambda: len(client.of(dbn.MBOMsg)) == 2)
        assert len(client.notices) == 4


async def test_the_fault_skips_what_is_captured_while_it_lasts(tmp_path: Path) -> None:
    tape = small_tape(tmp_path, schemas=("mbp-1", "mbo"))
    async with serving(tape) as gateway:
        client = await started(gateway, {"schema": "mbp-1"}, {"schema": "mbo"})
        await client.until(lambda: len(client.notices) == 2)
        fault = gateway.faults.start("slow-reader", seconds=30)
        for schema in ("mbp-1", "mbo"):
            tape.append(schema, minute_of(schema, 600, 30))
        await client.until(lambda: len(client.of(dbn.MBOMsg)) == 20)
        assert client.of(dbn.MBP1Msg) == []
        assert client.notices[2:] == [WARNING.format("mbo")]
        gateway.faults.end(fault.number)
        await client.until(lambda: client.errors)
        tape.append("mbp-1", minute_of("mbp-1", 630, 3))
        await client.until(lambda: len(client.of(dbn.MBP1Msg)) == 2)
        assert client.errors == [(7, "Slow client detected for mbp-1. Skipped records")]
        assert client.of(dbn.MBP1Msg)[0].ts_event == minute_of("mbp-1", 630, 1)["ts_event"][0]
