"""The producer as a process of its own, as users run it, and all that it leaves for others to read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from confluent_kafka.admin import AdminClient

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.log import Log


class Service:
    """``python -m tapeline_barchart`` with its logs in a file."""

    def __init__(self, log: Path, servers: str, settings: Mapping[str, object]) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TAPELINE_BARCHART_")}
        environment["KAFKA_BOOTSTRAP_SERVERS"] = servers
        environment |= {f"TAPELINE_BARCHART_{name.upper()}": str(value) for name, value in settings.items()}
        self._log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tapeline_barchart"],
                env=environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=log.parent,
            )

    def log(self) -> str:
        """Return what it has printed so far."""
        return self._log.read_text()

    def get(self, path: str) -> str:
        """Return what its health endpoint says, whether it is ready or not."""
        (started,) = (line for line in self.log().splitlines() if '"event":"started"' in line.replace('": "', '":"'))
        try:
            with urlopen(json.loads(started)["health"] + path, timeout=10) as response:  # noqa: S310 (its own address)
                return str(response.read().decode())
        except HTTPError as error:
            return error.read().decode()

    def stop(self) -> int:
        """End it in order; return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def kill(self) -> None:
        """End what is still there of it at once."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)


def messages_of_all_topics(servers: str) -> Iterator[tuple[str, bytes]]:
    """Yield every message of every topic of the namespace with the topic's name: key, value and headers."""
    prefix = namespaced("")
    topics = [
        name for name in AdminClient({"bootstrap.servers": servers}).list_topics().topics if name.startswith(prefix)
    ]
    with Log(servers, "tapeline-test") as log:
        for topic in topics:
            for partition in range(log.partitions(topic)):
                for message in log.read(topic, partition, *log.bounds(topic, partition)):
                    headers = b"".join(name.encode() + b"=" + value for name, value in message.headers() or ())
                    yield topic, (message.key() or b"") + b"\n" + (message.value() or b"") + b"\n" + headers
