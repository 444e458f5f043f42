"""A real Apache Kafka on this machine, for where no Docker engine answers."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from tapeline.bus.probe import prove_writable
from tapeline.errors import BrokerUnavailable, Retryable
from tapeline.ops.state import state_folder as state_folder
from tapeline_cli.java import fetch_jars, find_java, kafka_version

USUAL_PORT = 9092
HEAP_MB = 512
MAIN_CLASS = "kafka.Kafka"
_HOST = "127.0.0.1"
_POLL_S = 0.05
_LOCK_TIMEOUT_S = 120.0
_FORMAT_TIMEOUT_S = 60
_LOG_TAIL_LINES = 15
_LOGGING = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
)

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={data}
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
"""


@dataclass(frozen=True, slots=True)
class BrokerState:
    """What ``kafka.json`` holds while the broker runs."""

    bootstrap_servers: str
    pid: int
    version: str
    started: str


class LocalBroker:
    """One Kafka broker: data, settings and log in ``<state>/kafka``, its address in ``<state>/kafka.json``.

    `jars` is where the broker's jars are, or are put; brokers may share it. `properties` are Kafka's own, besides those
    that it always has.
    """

    def __init__(self, state: Path, jars: Path | None = None, properties: Mapping[str, str] | None = None) -> None:
        state = state.absolute()
        self._home = state / "kafka"
        self.jars = jars or self._home / f"jars-{kafka_version()}"
        self._properties = self._home / "server.properties"
        self._more = dict(properties or {})
        self._data = self._home / "data"
        self._state_file = state / "kafka.json"
        self._process: subprocess.Popen[bytes] | None = None
        self.log = self._home / "broker.log"

    def state(self) -> BrokerState | None:
        """Return what the last start left behind, or None where there is nothing or it cannot be read."""
        try:
            return BrokerState(**json.loads(self._state_file.read_bytes()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def running(self) -> BrokerState | None:
        """Return the state if its process lives and is this very broker, not a stranger that was given the same pid."""
        state = self.state()
        if state is None:
            return None
        if self._process is not None and self._process.pid == state.pid:
            return state if self._process.poll() is None else None
        return state if _command_line(state.pid)[-2:] == [MAIN_CLASS, str(self._properties)] else None

    def start(self, timeout_s: float = 60.0) -> BrokerState:
        """Start the broker unless it runs, and return once it has taken a message.

        Listens on loopback only, on the port it had before, else 9092, else any free one. The broker lives in a
        session of its own and outlasts the caller.
        Raises Misconfigured where Java or Maven is missing, BrokerUnavailable, naming the log, where it fails to start.
        """
        with self._lock():
            running = self.running()
            if running is not None:
                self._await_writable(running, timeout_s)
                return running
            started = self._launch()
            try:
                self._await_writable(started, timeout_s)
            except BaseException:
                self._end(started, timeout_s=10.0)
                self._state_file.unlink()
                raise
            return started

    def stop(self, timeout_s: float = 20.0) -> bool:
        """Stop the broker: SIGTERM, then SIGKILL after `timeout_s`; return whether it ran."""
        with self._lock():
            state = self.running()
            if state is not None:
                self._end(state, timeout_s)
            self._state_file.unlink(missing_ok=True)
            return state is not None

    def _launch(self) -> BrokerState:
        java = find_java()
        fetch_jars(self.jars)
        port = self._free_port()
        usual = PROPERTIES.format(host=_HOST, port=port, controller_port=any_free_port(), data=self._data)
        self._properties.write_text(usual + "".join(f"{name}={value}\n" for name, value in self._more.items()))
        run = [str(java), f"-Xmx{HEAP_MB}m", *_LOGGING, "-cp", f"{self.jars}/*"]
        with self.log.open("wb") as log:
            if not (self._data / "meta.properties").exists():
                tool = [*run, "kafka.tools.StorageTool", "format", "-c", str(self._properties), "-t", str(uuid.uuid4())]
                if subprocess.run(tool, stdout=log, stderr=log, timeout=_FORMAT_TIMEOUT_S).returncode != 0:
                    raise BrokerUnavailable(self._explain("Kafka could not format its data folder"))
            self._process = subprocess.Popen(
                [*run, MAIN_CLASS, str(self._properties)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._home,
                start_new_session=True,
            )
        return self._write(BrokerState(f"{_HOST}:{port}", self._process.pid, kafka_version(), _now()))

    def _await_writable(self, state: BrokerState, timeout_s: float) -> None:
        port = int(state.bootstrap_servers.rpartition(":")[2])
        deadline = time.monotonic() + timeout_s
        while not _listens(port):
            if self.running() is None:
                raise BrokerUnavailable(self._explain("Kafka ended while it started"))
            if time.monotonic() > deadline:
                raise BrokerUnavailable(self._explain(f"Kafka did not listen within {timeout_s:g} s"))
            time.sleep(_POLL_S)
        try:
            prove_writable(state.bootstrap_servers, max(deadline - time.monotonic(), 5.0))
        except BrokerUnavailable as error:
            raise BrokerUnavailable(self._explain(str(error))) from error

    def _end(self, state: BrokerState, timeout_s: float) -> None:
        for sent in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(state.pid, sent)
            deadline = time.monotonic() + timeout_s
            while time.monotonic() < deadline:
                if self._process is not None:
                    self._process.poll()
                if not _lives(state.pid):
                    return
                time.sleep(_POLL_S)
        raise BrokerUnavailable(f"Kafka (pid {state.pid}) outlived SIGKILL by {timeout_s:g} s")

    def _free_port(self) -> int:
        with contextlib.suppress(FileNotFoundError):
            before = re.search(r"^listeners=PLAINTEXT://[\d.]+:(\d+)", self._properties.read_text(), re.MULTILINE)
            if before and _is_free(int(before[1])):
                return int(before[1])
        return USUAL_PORT if _is_free(USUAL_PORT) else any_free_port()

    def _write(self, state: BrokerState) -> BrokerState:
        partial = self._state_file.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(state), indent=2) + "\n")
        partial.replace(self._state_file)
        return state

    def _explain(self, what: str) -> str:
        logged = [line for line in self.log.read_text(errors="replace").splitlines() if not line.startswith("\tat ")]
        return "\n".join([f"{what}; its log is {self.log}, which ends with:", *logged[-_LOG_TAIL_LINES:]])

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        self._home.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + _LOCK_TIMEOUT_S
        with (self._home / "lock").open("w") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise Retryable(f"another start or stop of {self._home} is still at work") from None
                    time.sleep(_POLL_S)
            yield


def _command_line(pid: int) -> list[str]:
    try:
        return psutil.Process(pid).cmdline()
    except psutil.Error:
        return []


def _lives(pid: int) -> bool:
    # an ended process that nobody has waited for is still listed, as a zombie
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((_HOST, port)) == 0


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
        return True


def any_free_port() -> int:
    """Return a port of loopback that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
