"""The fixtures that every test relies on: what is skipped, what is refused, which broker is taken."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tapeline.ops.resources import REPOSITORY_ROOT

TESTS = """
def test_data(real_data): pass
def test_broker(bootstrap_servers): pass
def test_browser(chromium): pass
def test_one(namespace, monkeypatch):
    import os
    assert os.environ["TAPELINE_NAMESPACE"] == namespace == "test-" + namespace[5:11] + "-1"
def test_two(namespace): assert namespace.endswith("-2")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with our conftest and no real data beside it."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "conftest.py").write_text((REPOSITORY_ROOT / "tests" / "conftest.py").read_text())
    (tmp_path / "tests" / "test_sample.py").write_text(TESTS)
    return tmp_path


def run(project: Path, select: str, **environment: str) -> str:
    named = {name: value for name, value in os.environ.items() if not name.startswith(("TAPELINE_", "KAFKA_"))}
    # no Docker engine, no Java, no Chromium, no broker of the user
    bare = {
        "DOCKER_HOST": "tcp://127.0.0.1:1",
        "PATH": "/nonexistent",
        "JAVA_HOME": "",
        "PLAYWRIGHT_BROWSERS_PATH": "/nonexistent",
        "TAPELINE_STATE_DIR": "state",
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-ra", "-p", "no:cacheprovider", "-k", select, "tests"],
        cwd=project,
        env=named | bare | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.stdout


def test_a_lacking_part_is_skipped_with_the_reason(project: Path) -> None:
    shown = run(project, "data or broker or browser")
    assert "3 skipped" in shown
    assert "no real data at" in shown
    assert "install-system-packages.sh java" in shown
    assert "install-system-packages.sh chromium" in shown
    assert "broker: no Docker engine answers" in shown


def test_a_required_part_may_not_lack(project: Path) -> None:
    shown = run(project, "data or broker or browser", TAPELINE_REQUIRE="kafka, data,chromium")
    assert "3 errors" in shown
    assert "TAPELINE_REQUIRE names chromium" in shown
    assert "TAPELINE_REQUIRE names kafka" in shown
    assert "TAPELINE_REQUIRE names data" in shown


def test_only_the_parts_named_are_required(project: Path) -> None:
    shown = run(project, "data or broker", TAPELINE_REQUIRE="data")
    assert "1 skipped, 3 deselected, 1 error" in shown
    assert "TAPELINE_REQUIRE names data" in shown
    assert "TAPELINE_REQUIRE names kafka" not in shown


def test_real_data_is_where_the_environment_says(project: Path) -> None:
    assert "1 passed" in run(project, "data", TAPELINE_REAL_DATA=str(project))


def test_namespaces_differ(project: Path) -> None:
    assert "2 passed" in run(project, "one or two")


def test_a_named_broker_is_taken(project: Path, bootstrap_servers: str) -> None:
    shown = run(project, "broker", KAFKA_BOOTSTRAP_SERVERS=bootstrap_servers)
    assert "1 passed" in shown
    assert f"broker: {bootstrap_servers}, of KAFKA_BOOTSTRAP_SERVERS" in shown
