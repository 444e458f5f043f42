"""What a live session brings is put to account, and nothing of it is owed."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest
from tests.integration.databento.scripted_gateway import Conversation, ScriptedGateway, mapping, order

from tapeline.errors import TapelineError
from tapeline.feed.ledger import UsageLedger
from tapeline.feed.source import Ticks
from tapeline_databento.source import DatabentoSource

DEADLINE_S = 30.0


async def _orders(conversation: Conversation) -> None:
    await conversation.begin()
    await conversation.send(mapping(7, "NQZ6", "NQ.FUT") + b"".join(order(sequence) for sequence in range(1, 41)))


async def test_a_sessions_records_are_in_the_account_once_it_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAPELINE_STATE_DIR", str(tmp_path))
    async with ScriptedGateway(_orders) as gateway:
        settings = gateway.settings(subscriptions="mbo=NQ.FUT", count_usage=True, flat_usd="179")
        (line,) = DatabentoSource(settings).lines()
        session = await line.connect({})
        ticks = 0
        # The gateway goes away in the end.
        with suppress(TapelineError):
            async with asyncio.timeout(DEADLINE_S):
                async for item in session.items():
                    ticks += len(item) if isinstance(item, Ticks) else 0
    assert ticks == 40
    rows = {usage.line: usage for usage in UsageLedger(tmp_path / "usage.sqlite3").usages()}
    assert rows["flat"].notional
    assert rows["flat"].fee_micro_usd_per_month == 179_000_000
    assert rows["flat"].schemas["GLBX.MDP3/mbo"].bytes == 40 * 56
    assert "metered" not in rows
