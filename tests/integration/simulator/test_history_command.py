"""`tapeline simulate databento --history-port`: what a user is told is all that the official client needs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import databento
import orjson
import pytest

from tapeline_simulator.databento.commands import DEMO_KEY
from tapeline_simulator.market import DATASET

TAPELINE = [sys.executable, "-m", "tapeline_cli"]
LONG_AGO = "2026-01-05T15:00:00"
DEADLINE_S = 60


@contextlib.contextmanager
def simulated(folder: Path, *arguments: str) -> Iterator[dict[str, Any]]:
    """Run the command, its state in `folder`, with a history, and say what it tells; it must end well when asked to."""
    ports = ["--port", "0", "--control-port", "0", "--history-port", "0", "--json"]
    process = subprocess.Popen(
        [*TAPELINE, "simulate", "databento", *ports, *arguments],
        env={**os.environ, "TAPELINE_STATE_DIR": str(folder)},
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        yield orjson.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Two seconds of a synthetic market of long ago."""
    path = tmp_path / "nq.dbn"
    command = [*TAPELINE, "simulate", "market", "--start", LONG_AGO, "--seconds", "2", "--speed", "max"]
    subprocess.run([*command, "--symbols", "NQH6", "-o", str(path)], check=True, timeout=DEADLINE_S)
    return path


def test_what_was_recorded_long_ago_is_history_as_it_is(
    tmp_path: Path, recorded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--file", str(recorded), "--times", "original", "--dataset", DATASET]
    with simulated(tmp_path, *arguments) as told:
        assert told["authority"] == str(tmp_path / "simulator-tls" / "ca.pem")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", told["authority"])
        historical = databento.Historical(DEMO_KEY, gateway=told["history_url"])
        asked = {"dataset": DATASET, "symbols": "NQH6", "schema": "mbo", "start": LONG_AGO, "end": "2026-01-06"}
        store = historical.timeseries.get_range(**asked)
        assert b"".join(map(bytes, store)) == b"".join(map(bytes, databento.DBNStore.from_file(recorded)))
        fault = ["http-count", "difference=2", "method=metadata.get_record_count"]
        subprocess.run(
            [*TAPELINE, "simulate", "fault", "--control-port", str(told["control_port"]), *fault],
            check=True,
            timeout=DEADLINE_S,
            stdout=subprocess.DEVNULL,
        )
        counts = [historical.metadata.get_record_count(**asked) for _ in range(2)]
        assert counts[0] - counts[1] == 2


@pytest.mark.parametrize(("embargo", "is_refused"), [([], True), (["--history-embargo-hours", "0"], False)])
def test_what_is_simulated_now_is_history_after_the_embargo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, embargo: list[str], is_refused: bool
) -> None:
    with simulated(tmp_path, "--no-options", *embargo) as told:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", told["authority"])
        metadata = databento.Historical(DEMO_KEY, gateway=told["history_url"]).metadata
        end = datetime.fromisoformat(metadata.get_dataset_range("GLBX.MDP3")["end"])
        assert (datetime.now(UTC) - end > timedelta(hours=23)) == is_refused
        asked = {"symbols": "ALL_SYMBOLS", "schema": "definition", "start": (end - timedelta(hours=12)).isoformat()}
        if is_refused:
            with pytest.raises(databento.BentoClientError, match="dataset_unavailable_range"):
                metadata.get_record_count("GLBX.MDP3", end=(end + timedelta(hours=1)).isoformat(), **asked)
        else:
            assert metadata.get_record_count("GLBX.MDP3", end=end.isoformat(), **asked) > 0
