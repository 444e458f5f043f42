"""A processor as a process of its own, as users run it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from tests.integration.processor.tape import TICKS

SESSION_TIMEOUT_S = 6
"""The shortest that a broker takes by default."""


class Worker:
    """``python -m tapeline_processor`` with its logs in a file."""

    def __init__(self, logs: Path, servers: str, **settings: object) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TAPELINE_PROCESSOR_")}
        environment["KAFKA_BOOTSTRAP_SERVERS"] = servers
        usual = {"topics": TICKS, "health_port": 0, "session_timeout_s": SESSION_TIMEOUT_S}
        for name, value in (usual | settings).items():
            environment[f"TAPELINE_PROCESSOR_{name.upper()}"] = str(value)
        self._logs = logs
        with logs.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tapeline_processor"], env=environment, stderr=stderr, cwd=logs.parent
            )

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._logs.read_text().splitlines() if line.startswith("{")]

    def events(self, name: str) -> Iterator[dict[str, Any]]:
        return (line for line in self.log() if line["event"] == name)

    def get(self, path: str) -> tuple[int, bytes]:
        """Return status and body of the health endpoint; status 0 while there is none."""
        started = next(self.events("started"), None)
        if started is None:
            return 0, b""
        try:
            with urlopen(started["health"] + path, timeout=5) as response:  # noqa: S310 (the worker's own address)
                return response.status, response.read()
        except HTTPError as error:
            return error.code, error.read()
        except (URLError, OSError):
            return 0, b""

    def await_ready(self, timeout_s: float = 30.0) -> dict[str, Any]:
        """Wait until the worker is ready; return what /readyz says."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            status, body = self.get("/readyz")
            if status == 200:
                facts: dict[str, Any] = json.loads(body)
                return facts
            assert self.process.poll() is None, (
                f"ended with {self.process.returncode}: {self._logs.read_text()[-3000:]}"
            )
            assert time.monotonic() < deadline_s, f"not ready: {self._logs.read_text()[-3000:]}"
            time.sleep(0.02)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def terminate(self) -> float:
        """Send SIGTERM, hold the worker to exit code 0, and return how many seconds it took."""
        started_s = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        assert code == 0, self._logs.read_text()[-3000:]
        return time.monotonic() - started_s


def await_split(one: Worker, other: Worker) -> None:
    """Wait until each of the two workers has a share of the partitions, and all are shared out."""
    await_partitions(one, 2, timeout_s=SESSION_TIMEOUT_S + 30)
    await_partitions(other, 2, timeout_s=SESSION_TIMEOUT_S + 30)


def await_partitions(worker: Worker, count: int, *, timeout_s: float) -> None:
    deadline_s = time.monotonic() + timeout_s
    while len(worker.await_ready(timeout_s)["assigned"]) != count:
        assert time.monotonic() < deadline_s, f"waited in vain for {count} partitions"
        time.sleep(0.05)
