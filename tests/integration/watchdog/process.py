"""The watchdog as a process of its own, as users run it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.request import urlopen

Found = TypeVar("Found")


class Watchdog:
    """``python -m tapeline_watchdog`` with its logs in a file; in a `with` block, which kills it if need be."""

    def __init__(self, folder: Path, servers: str, **settings: object) -> None:
        usual = {"health_port": 0, "interval_s": 0.2, "window": 5, "minimum_window_s": 1.0}
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TAPELINE_WATCHDOG_")}
        for name, value in (usual | settings).items():
            environment[f"TAPELINE_WATCHDOG_{name.upper()}"] = str(value)
        self._logs = folder / "watchdog.log"
        with self._logs.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tapeline_watchdog"],
                env=environment | {"KAFKA_BOOTSTRAP_SERVERS": servers},
                stderr=stderr,
                cwd=folder,
            )
        self.url = ""

    def __enter__(self) -> Watchdog:
        self.url = until(lambda: next(self.events("started"), {}).get("health"), bool)
        until(lambda: self.get("/burrow/admin/ready"), lambda found: found == (200, b"READY"))
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)

    def events(self, name: str) -> Iterator[dict[str, Any]]:
        lines = [json.loads(line) for line in self._logs.read_text().splitlines() if line.startswith("{")]
        return (line for line in lines if line["event"] == name)

    def get(self, path: str) -> tuple[int, bytes]:
        try:
            with urlopen(self.url + path, timeout=5) as response:  # noqa: S310 (the watchdog's own address)
                return response.status, response.read()
        except HTTPError as error:
            return error.code, error.read()

    def json(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.get(path)[1])
        return found

    def terminate(self) -> None:
        """Send SIGTERM and hold the watchdog to a good end."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0, self._logs.read_text()[-3000:]
        assert list(self.events("stopped"))


def until(look: Callable[[], Found], holds: Callable[[Found], bool], timeout_s: float = 30.0) -> Found:
    """Look until what is seen holds, and return it."""
    deadline_s = time.monotonic() + timeout_s
    while not holds(found := look()):
        assert time.monotonic() < deadline_s, f"waited in vain; last seen: {found}"
        time.sleep(0.02)
    return found
