"""Recorded files captured once more, each record at its time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.unit.simulator.databento.records import SECOND, START, records_of

from tapeline.errors import Misconfigured
from tapeline_simulator.databento import player as module
from tapeline_simulator.databento.player import FilePlayer, MarketClock
from tapeline_simulator.databento.tape import VendorTape


def tape(folder: Path) -> VendorTape:
    folder.mkdir()
    return VendorTape("GLBX.MDP3", folder)


def test_records_come_at_their_time_and_all_of_them_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_RECORDS", 7)
    recorded, captured = tape(tmp_path / "recorded"), tape(tmp_path / "captured")
    recorded.append("mbo", records_of("mbo", range(START, START + 100), latency_ns=10))
    recorded.append("trades", records_of("trades", range(START + 50, START + 80), latency_ns=10))
    player = FilePlayer(recorded, captured)
    assert player.start_ns == START + 10
    player.advance(START + 9)
    assert captured.schemas == ()
    player.advance(START + 59)
    assert (captured.end("mbo"), captured.end("trades")) == (50, 0)
    player.advance(START + 60)
    assert (captured.end("mbo"), captured.end("trades")) == (51, 1)
    for _ in range(2):
        player.advance(START + SECOND)
        for schema in ("mbo", "trades"):
            end = recorded.end(schema)
            assert captured.read(schema, 0, captured.end(schema)).tobytes() == recorded.read(schema, 0, end).tobytes()
    assert captured.listings is recorded.listings


def test_a_record_that_was_captured_late_holds_back_what_follows_it(tmp_path: Path) -> None:
    recorded, captured = tape(tmp_path / "recorded"), tape(tmp_path / "captured")
    records = records_of("mbo", [START, START + 1, START + 2])
    records["ts_recv"] = (START, START + 9, START + 5)
    recorded.append("mbo", records)
    player = FilePlayer(recorded, captured)
    player.advance(START + 8)
    assert captured.end("mbo") == 1
    player.advance(START + 9)
    assert np.array_equal(captured.read("mbo", 0, 3)["ts_recv"], records["ts_recv"])


def test_nothing_cannot_be_captured(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="no records to serve"):
        FilePlayer(tape(tmp_path / "recorded"), tape(tmp_path / "captured"))


def test_a_market_clock_runs_at_its_own_speed() -> None:
    now = [1_000]
    clock = MarketClock(START, 2.5, lambda: now[0])
    assert clock.now_ns() == START
    now[0] += 400
    assert clock.now_ns() == START + 1_000
