"""The broker of docker-compose.yml as `make up` starts it, and the demo against it."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tapeline.bus.probe import prove_writable
from tapeline.ops.resources import REPOSITORY_ROOT

TAPELINE = Path(sys.executable).with_name("tapeline")
START_TIMEOUT_S = 120.0
DEMO_SECONDS = 15

Compose = Callable[..., str]


def compose_program() -> list[str]:
    """Return compose's command: the engine's plugin, else the program of its own; skip where there is neither."""
    plugin = ["docker", "compose"]
    if shutil.which("docker") and subprocess.run([*plugin, "version"], capture_output=True).returncode == 0:
        return plugin
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip("Docker has no compose; on Debian: apt-get install docker-compose")
    return [program]


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        picked: int = probe.getsockname()[1]
        return picked


@pytest.fixture
def compose(port: int, docker_engine: None) -> Iterator[Compose]:
    command = [*compose_program(), "--project-name", f"tapeline-test-{secrets.token_hex(3)}"]
    environment = os.environ | {"TAPELINE_KAFKA_PORT": str(port)}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [*command, *arguments], cwd=REPOSITORY_ROOT, env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("up", "--detach")
    yield run
    run("down", "--volumes")


def test_the_demo_runs_on_the_compose_broker(compose: Compose, port: int) -> None:
    prove_writable(f"127.0.0.1:{port}", START_TIMEOUT_S)
    environment = os.environ | {
        "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{port}",
        "DEMO_SECONDS": str(DEMO_SECONDS),
    }
    demo = subprocess.run(
        [TAPELINE, "demo"], env=environment, cwd=REPOSITORY_ROOT, capture_output=True, text=True, timeout=180
    )
    assert demo.returncode == 0, demo.stderr
    assert "rows" in demo.stdout

    container = compose("ps", "--quiet", "kafka").strip()
    deadline = time.monotonic() + START_TIMEOUT_S
    while (health := health_of(container)) != "healthy":
        assert time.monotonic() < deadline, health
        time.sleep(0.5)


def health_of(container: str) -> str:
    shown = subprocess.run(
        ["docker", "inspect", "--format", "{{.State.Health.Status}}", container],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return shown.stdout.strip()
