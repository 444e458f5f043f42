"""What every test may ask for: a real broker, a namespace of its own, the real data."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import secrets
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml
from confluent_kafka.admin import AdminClient
from docker.errors import DockerException, ImageNotFound

from tapeline.bus.probe import prove_writable
from tapeline.errors import BrokerUnavailable, Misconfigured
from tapeline.feed.file_lock import file_lock
from tapeline_cli.java import kafka_version
from tapeline_cli.local_broker import LocalBroker, state_folder

REPOSITORY = Path(__file__).parents[1]
KAFKA_IMAGE = f"apache/kafka:{kafka_version()}"
NAMESPACE_PREFIX = f"test-{secrets.token_hex(3)}"
_BROKER_START_S = 60.0
_DOCKER_TIMEOUT_S = 60
_namespaces = itertools.count(1)
_notes: list[str] = []


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand what is to be said to the process that says it, where several run the tests."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["notes"] = _notes


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what a process that has run tests has to say."""
    _notes.extend(getattr(node, "workeroutput", {}).get("notes", []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which brokers served the run, and what was tried before them."""
    for note in dict.fromkeys(_notes):
        terminalreporter.write_line(note)


def lacking(part: str, reason: str) -> None:
    """Skip the running test for want of `part`, or fail it where TAPELINE_REQUIRE names the part."""
    required = {name.strip() for name in os.environ.get("TAPELINE_REQUIRE", "").split(",")}
    if part in required:
        pytest.fail(f"TAPELINE_REQUIRE names {part}: {reason}", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def bootstrap_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of one real Apache Kafka for the whole run.

    It is the one of KAFKA_BOOTSTRAP_SERVERS, else a container where a Docker engine answers and has or gets the image,
    else the local broker that `tapeline kafka up` has started, else one of the run's own. What the run created in its
    namespaces is deleted at the end.
    """
    with _a_broker(tmp_path_factory.mktemp("broker")) as address:
        yield address
        _delete_topics(address)


@pytest.fixture(scope="session")
def docker_engine() -> None:
    """A Docker engine that has or gets the broker's image."""
    lack = _docker_lack(KAFKA_IMAGE)
    if lack is not None:
        lacking("docker", lack)


@pytest.fixture
def namespace(monkeypatch: pytest.MonkeyPatch) -> str:
    """A namespace that no other test uses, set as TAPELINE_NAMESPACE."""
    name = f"{NAMESPACE_PREFIX}-{next(_namespaces)}"
    monkeypatch.setenv("TAPELINE_NAMESPACE", name)
    return name


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real market data: TAPELINE_REAL_DATA, else `../shared/data` beside the repository."""
    folder = Path(os.environ.get("TAPELINE_REAL_DATA") or REPOSITORY.parent / "shared" / "data").absolute()
    if not folder.is_dir():
        lacking("data", f"no real data at {folder}; set TAPELINE_REAL_DATA")
    return folder


@pytest.fixture(scope="session")
def chromium() -> Path:
    """Chromium's program: the one of TAPELINE_BARCHART_CHROMIUM_PATH, else the system's, else Playwright's."""
    from tapeline_barchart.chromium import chromium_version, find_chromium

    named = os.environ.get("TAPELINE_BARCHART_CHROMIUM_PATH")
    try:
        program = find_chromium(Path(named) if named else None)
        _notes.append(f"chromium: {chromium_version(program)}, {program}")
    except Misconfigured as error:
        lacking("chromium", str(error))
        raise
    return program


@contextlib.contextmanager
def _a_broker(folder: Path) -> Iterator[str]:
    named = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if named:
        prove_writable(named, timeout_s=30.0)
        _notes.append(f"broker: {named}, of KAFKA_BOOTSTRAP_SERVERS")
        yield named
        return
    container = _container()
    if container is not None:
        try:
            yield container.address
        finally:
            container.stop()
        return
    users = LocalBroker(state_folder())
    running = users.running()
    if running is not None:
        users.start(_BROKER_START_S)
        _notes.append(f"broker: {running.bootstrap_servers}, started by `tapeline kafka up`")
        yield running.bootstrap_servers
        return
    own = LocalBroker(folder, jars=users.jars)
    try:
        # One after the other, where several processes run the tests: two would find the same port free.
        with file_lock(Path(tempfile.gettempdir(), "tapeline-test-broker.lock"), _BROKER_START_S):
            address = own.start(_BROKER_START_S).bootstrap_servers
    except Misconfigured as error:
        lacking("kafka", str(error))
        raise
    _notes.append(f"broker: {address}, started for this run from Maven artifacts")
    try:
        yield address
    finally:
        own.stop()


class KafkaContainer:
    """The broker of docker-compose.yml, its image and its settings, on a port of its own on loopback."""

    def __init__(self) -> None:
        from testcontainers.core.container import DockerContainer

        service = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]["kafka"]
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        advertised = f"HOST://{self.address},INTERNAL://localhost:19092"
        self._container = DockerContainer(
            KAFKA_IMAGE, env=service["environment"] | {"KAFKA_ADVERTISED_LISTENERS": advertised}
        )
        self._container.ports["9092"] = ("127.0.0.1", port)

    def start(self) -> None:
        """Start it and return once it has taken a message; raises DockerException or BrokerUnavailable."""
        try:
            self._container.start()
            prove_writable(self.address, _BROKER_START_S)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Remove the container and its volume."""
        self._container.stop()


def _container() -> KafkaContainer | None:
    from testcontainers.core.config import testcontainers_config

    lack = _docker_lack(KAFKA_IMAGE)
    if lack is not None:
        _notes.append(f"broker: {lack}")
        return None
    # the reaper only tidies up after a run that was killed, so its absence is no reason to go without a container
    if _docker_lack(testcontainers_config.ryuk_image) is not None:
        testcontainers_config.ryuk_disabled = True
    container = KafkaContainer()
    try:
        container.start()
    except (DockerException, BrokerUnavailable) as error:
        _notes.append(f"broker: the container did not come up: {error}")
        return None
    _notes.append(f"broker: {container.address}, a container of {KAFKA_IMAGE}")
    return container


@functools.cache
def _docker_lack(image: str) -> str | None:
    """Return why no container of `image` can run here, with the remedy; None where one can."""
    try:
        engine = docker.from_env(timeout=_DOCKER_TIMEOUT_S)
        engine.ping()
    except DockerException:
        return "no Docker engine answers (on Debian as root: apt-get install docker.io, then dockerd)"
    with contextlib.closing(engine):
        try:
            engine.images.get(image)
        except ImageNotFound:
            try:
                engine.images.pull(image)
            except DockerException as error:
                return f"the Docker engine cannot pull {image} ({error}); docker load brings it from a file"
    return None


def _delete_topics(address: str) -> None:
    admin = AdminClient({"bootstrap.servers": address})
    topics = [name for name in admin.list_topics(timeout=10).topics if name.startswith(NAMESPACE_PREFIX)]
    if topics:
        for future in admin.delete_topics(topics, request_timeout=30).values():
            future.result(30)
