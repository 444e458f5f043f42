"""Runs replays against the broker and reads back what they left on it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.log import Log
from tapeline.bus.tail import CURSORS_TOPIC, ticks_topic
from tapeline.bus.topics import apply_topics, load_topics
from tapeline.feed.claims import EVENTS_TOPIC
from tapeline.feed.runner import Runner
from tapeline.feed.writer import Totals
from tapeline.model.codec import decode
from tapeline.model.cursors import Cursor, decode_cursor
from tapeline.model.events import FeedEvent, decode_event
from tapeline.model.frames import TickFrame
from tapeline_saved.settings import SavedSettings
from tapeline_saved.source import SavedSource

DEADLINE_S = 30.0
TOPICS = ("md.ticks.saved.v1", EVENTS_TOPIC, CURSORS_TOPIC)


@dataclass(frozen=True, slots=True)
class Placed:
    """A frame and its offset."""

    offset: int
    frame: TickFrame


class SavedTape:
    """The topics of the saved-files producer in the test's namespace, made by this."""

    def __init__(self, servers: str) -> None:
        self.servers = servers
        declared = load_topics()
        apply_topics(servers, [declared[name] for name in TOPICS])

    def placed(self) -> list[Placed]:
        """Return everything on the ticks topic, partition by partition in order."""
        return [Placed(offset, decode(value)) for offset, value in self._values(ticks_topic("saved"))]

    def frames(self) -> list[TickFrame]:
        """Return the tick frames."""
        return [placed.frame for placed in self.placed() if placed.frame.frame is not None]

    def marks(self, kind: str) -> list[TickFrame]:
        """Return the claims or the clocks."""
        return [placed.frame for placed in self.placed() if placed.frame.kind == kind]

    def ticks(self) -> int:
        """Return how many ticks there are."""
        return sum(len(frame) for frame in self.frames())

    def rows(self) -> list[dict[str, object]]:
        """Return every tick as a dict."""
        return [row for frame in self.frames() for row in frame.rows()]

    def events(self) -> list[FeedEvent]:
        """Return the feed events."""
        return [decode_event(value) for _, value in self._values(namespaced(EVENTS_TOPIC))]

    def cursors(self) -> list[Cursor]:
        """Return the cursors as they were written, the older ones too as far as they are not compacted."""
        return [decode_cursor(value) for _, value in self._values(namespaced(CURSORS_TOPIC))]

    async def replay(self, path: Path, **settings: object) -> Totals:
        """Replay within this process."""
        totals = Totals()
        overrides: Mapping[str, Any] = {"path": str(path), **settings}
        loaded = SavedSettings.load({}, dotenv=path.parent / "no.env", overrides=overrides)
        await Runner(SavedSource(loaded), loaded, self.servers, totals).run()
        return totals

    @contextmanager
    def command(self, *arguments: str, **environment: str) -> Iterator[Command]:
        """Run `python -m <arguments>` in a process of its own, which does not outlive the block."""
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            env={**os.environ, "KAFKA_BOOTSTRAP_SERVERS": self.servers, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            yield Command(process)
        finally:
            process.kill()
            process.communicate()

    def _values(self, topic: str) -> list[tuple[int, bytes]]:
        found: list[tuple[int, bytes]] = []
        with Log(self.servers, "tapeline-test") as log:
            for partition in range(log.partitions(topic)):
                first, end = log.bounds(topic, partition)
                messages = log.read(topic, partition, first, end)
                found += [(message.offset() or 0, message.value() or b"") for message in messages]
        return found


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def reports(self) -> list[dict[str, Any]]:
        """The JSON lines of its output."""
        return [orjson.loads(line) for line in self.stdout.splitlines()]


@dataclass(frozen=True, slots=True)
class Command:
    """A running command."""

    process: subprocess.Popen[bytes]

    def give(self, data: bytes) -> None:
        """Write to its standard input, which stays open."""
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def terminate(self, timeout_s: float = DEADLINE_S) -> Ended:
        """Send SIGTERM and wait for the end, with standard input still open."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout_s)
        return self.end()

    def end(self) -> Ended:
        """Close standard input and wait for the end."""
        stdout, stderr = self.process.communicate(timeout=DEADLINE_S)
        return Ended(self.process.returncode, stdout.decode(), stderr.decode())

    def until(self, condition: Callable[[], object]) -> None:
        """Wait until `condition` holds; fail where the command ends before."""
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            if self.process.poll() is not None:
                raise AssertionError(f"it ended: {self.end()}")
            assert time.monotonic() < deadline, "the condition never held"
            time.sleep(0.02)


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(port: int, path: str) -> tuple[int, bytes]:
    """Return the status and the body of a health endpoint's answer; status 0 where nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return 0, b""


def metric(port: int, name: str) -> float:
    """Return a metric of the health endpoint, by its name with its labels; 0 where it is not there."""
    _, body = get(port, "/metrics")
    values = [line.split()[-1] for line in body.decode().splitlines() if line.startswith(f"{name} ")]
    return float(values[0]) if values else 0.0
