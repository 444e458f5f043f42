"""The service where there is no broker, or not what it needs there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.topics import apply_topics, load_topics

DEADLINE_S: Final = 30.0


@contextmanager
def service(folder: Path, servers: str) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """Run the service, which looks often; yield it and what it says."""
    settings = {"HEALTH_PORT": "0", "POLL_S": "0.05"}
    environment = os.environ | {f"TAPELINE_BACKFILL_{name}": value for name, value in settings.items()}
    environment |= {"KAFKA_BOOTSTRAP_SERVERS": servers, "TAPELINE_STATE_DIR": str(folder)}
    command = [sys.executable, "-m", "tapeline_backfill"]
    with (
        (folder / "log").open("w+", encoding="utf-8") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=log, text=True, cwd=folder) as process,
    ):
        try:
            yield process, log
        finally:
            process.kill()


def lines(log: IO[str]) -> list[dict[str, str]]:
    """Return the log so far."""
    log.seek(0)
    return [json.loads(line) for line in log if line.endswith("\n")]


def wait_for(log: IO[str], event: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not any(line["event"] == event for line in lines(log)):
        assert time.monotonic() < deadline, lines(log)
        time.sleep(0.02)


def test_says_once_what_it_waits_for_and_goes_on_when_it_is_there(
    bootstrap_servers: str, namespace: str, tmp_path: Path
) -> None:
    with service(tmp_path, bootstrap_servers) as (process, log):
        wait_for(log, "Kafka is away")
        # Which takes many of its rounds.
        apply_topics(bootstrap_servers, load_topics().values())
        wait_for(log, "Kafka is back")
        reasons = [line["reason"] for line in lines(log) if line["event"] == "Kafka is away"]
        assert len(reasons) == len(set(reasons))
        assert f"there is no topic {namespaced('md.backfill-events.v1')}" in reasons[0]
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0


def test_ends_soon_where_no_broker_is(tmp_path: Path) -> None:
    with service(tmp_path, "127.0.0.1:9") as (process, log):
        wait_for(log, "Kafka is away")
        begin = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0
        # What it waits for is no longer than the client's own patience, twice.
        assert time.monotonic() - begin < 15.0
        assert lines(log)[-1]["event"] == "stopped"
