"""`tapeline kafka` as a user runs it: real processes, a real broker, a state folder of the tests' own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from tapeline.bus.probe import PROBE_TOPIC, prove_writable
from tapeline.errors import BrokerUnavailable
from tapeline_cli.java import fetch_jars, kafka_version
from tapeline_cli.local_broker import LocalBroker, state_folder

TAPELINE = Path(sys.executable).with_name("tapeline")


@pytest.fixture(scope="module")
def jars() -> Path:
    folder = LocalBroker(state_folder()).jars
    fetch_jars(folder)
    return folder


@pytest.fixture
def state(tmp_path: Path, jars: Path) -> Iterator[Path]:
    (tmp_path / "kafka").mkdir()
    (tmp_path / "kafka" / jars.name).symlink_to(jars)
    yield tmp_path
    LocalBroker(tmp_path).stop()


def run(state: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [TAPELINE, "kafka", *arguments],
        env=os.environ | {"TAPELINE_STATE_DIR": str(state)} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def run_json(state: Path, *arguments: str) -> dict[str, Any]:
    done = run(state, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert isinstance(shown, dict)
    return shown


def port_of(shown: dict[str, Any]) -> int:
    return int(shown["bootstrap_servers"].rpartition(":")[2])


def has_ended(pid: int) -> bool:
    try:
        # on a machine whose first process waits for nobody, an ended orphan stays behind as a zombie
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def assert_nothing_is_left(state: Path) -> None:
    assert not (state / "kafka.json").exists()
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(state) in " ".join(p.info["cmdline"] or [])]


def test_up_twice_status_and_down(state: Path) -> None:
    assert run(state, "status").returncode == 1

    first = run_json(state, "up")
    assert first["version"] == kafka_version()
    assert json.loads((state / "kafka.json").read_text())["bootstrap_servers"] == first["bootstrap_servers"]
    assert run_json(state, "up") == first == run_json(state, "status")

    listening = [c.laddr.ip for c in psutil.Process(first["pid"]).net_connections() if c.status == psutil.CONN_LISTEN]
    assert {ip.removeprefix("::ffff:") for ip in listening} == {"127.0.0.1"}

    assert run_json(state, "down") == {"running": False, "log": first["log"]}
    assert has_ended(first["pid"])
    assert not (state / "kafka.json").exists()
    assert run(state, "down").returncode == 0
    assert run(state, "status").returncode == 1


def test_data_and_port_outlast_down(state: Path) -> None:
    before = run_json(state, "up")
    admin = AdminClient({"bootstrap.servers": before["bootstrap_servers"]})
    admin.create_topics([NewTopic("kept", num_partitions=3)])["kept"].result(10)
    run_json(state, "down")

    after = run_json(state, "up")
    assert after["bootstrap_servers"] == before["bootstrap_servers"]
    again = AdminClient({"bootstrap.servers": after["bootstrap_servers"]})
    assert len(again.list_topics(timeout=10).topics["kept"].partitions) == 3


def test_a_taken_port_is_avoided_and_the_new_one_remembered(state: Path) -> None:
    usual = port_of(run_json(state, "up"))
    run_json(state, "down")
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", usual))
        stranger.listen()
        other = port_of(run_json(state, "up"))
        assert other != usual
        run_json(state, "down")
    assert port_of(run_json(state, "up")) == other


def write_stale(state: Path, pid: int) -> None:
    stale = {"bootstrap_servers": "127.0.0.1:1", "pid": pid, "version": "1.0", "started": "2020-01-01T00:00:00+00:00"}
    (state / "kafka.json").write_text(json.dumps(stale))


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "300"])
    yield process
    process.kill()
    process.wait(10)


def test_the_pid_of_a_stranger_is_neither_trusted_nor_killed(state: Path, stranger: subprocess.Popen[bytes]) -> None:
    write_stale(state, stranger.pid)
    assert run(state, "status").returncode == 1
    assert run(state, "down").stdout == "Kafka was not running\n"
    write_stale(state, stranger.pid)
    up = run_json(state, "up")
    prove_writable(up["bootstrap_servers"], timeout_s=10.0)
    assert stranger.poll() is None


def test_the_pid_of_nobody_is_not_trusted(state: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait(10)
    write_stale(state, ended.pid)
    assert run(state, "status").returncode == 1
    assert run_json(state, "up")["pid"] != ended.pid


def test_up_after_the_broker_was_killed(state: Path) -> None:
    first = run_json(state, "up")
    os.kill(first["pid"], signal.SIGKILL)
    second = run_json(state, "up")
    assert second["pid"] != first["pid"]
    assert second["bootstrap_servers"] == first["bootstrap_servers"]


def test_down_kills_a_broker_that_does_not_listen_to_sigterm(state: Path) -> None:
    pid = run_json(state, "up")["pid"]
    os.kill(pid, signal.SIGSTOP)
    assert LocalBroker(state).stop(timeout_s=0.5)
    assert has_ended(pid)


def test_a_failed_start_names_the_log_and_leaves_nothing(state: Path) -> None:
    (state / "kafka" / "data").mkdir()
    (state / "kafka" / "data" / "meta.properties").write_text("version=1\nnode.id=77\ncluster.id=another\n")
    done = run(state, "up")
    assert done.returncode == 1
    assert str(state / "kafka" / "broker.log") in done.stderr
    assert "configured node id matches" in done.stderr
    assert "Traceback" not in done.stderr
    assert_nothing_is_left(state)


def test_a_start_that_takes_too_long_is_given_up(state: Path) -> None:
    with pytest.raises(BrokerUnavailable, match=r"did not listen within 0\.01 s"):
        LocalBroker(state).start(timeout_s=0.01)
    assert_nothing_is_left(state)


def test_no_java_is_told_in_one_line_with_the_remedy(state: Path) -> None:
    done = run(state, "up", PATH="/nonexistent", JAVA_HOME="")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "Java 17" in done.stderr
    assert "install-system-packages.sh java" in done.stderr


def test_topics_are_not_created_by_writing_to_them(bootstrap_servers: str, namespace: str) -> None:
    errors: list[Any] = []
    producer = Producer({"bootstrap.servers": bootstrap_servers, "topic.metadata.propagation.max.ms": 500})
    producer.produce(f"{namespace}.unknown", b"", on_delivery=lambda error, _: errors.append(error))
    producer.flush(20)
    assert [error.name() for error in errors] == ["UNKNOWN_TOPIC_OR_PART"]


def test_prove_writable_says_who_does_not_answer() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(BrokerUnavailable, match=address):
        prove_writable(address, timeout_s=0.5)


def test_prove_writable_uses_a_topic_of_its_own(bootstrap_servers: str) -> None:
    prove_writable(bootstrap_servers, timeout_s=10.0)
    topics = AdminClient({"bootstrap.servers": bootstrap_servers}).list_topics(timeout=10).topics
    assert list(topics[PROBE_TOPIC].partitions) == [0]
