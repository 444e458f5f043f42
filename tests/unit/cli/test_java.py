"""Which Java counts, and what is said where it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tapeline.errors import Misconfigured
from tapeline_cli.java import fetch_jars, find_java, java_major, kafka_version


def program(folder: Path, name: str, script: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def only_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one folder of programs."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.mark.parametrize(
    ("output", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime Environment', 17),
        ('java version "1.8.0_392"', 8),
        ('openjdk version "25" 2025-09-16', 25),
        ('Picked up JAVA_TOOL_OPTIONS: -Dx="1"\nopenjdk version "21.0.2" 2024-01-16', 21),
        ("The operation couldn't be completed. Unable to locate a Java Runtime.", None),
    ],
)
def test_java_major(output: str, major: int | None) -> None:
    assert java_major(output) == major


def test_the_oldest_java_that_runs_the_broker(only_path: Path) -> None:
    java = program(only_path, "java", "echo 'openjdk version \"17.0.1\"' >&2")
    assert find_java() == java


def test_an_older_java_is_refused_with_the_remedy(only_path: Path) -> None:
    program(only_path, "java", "echo 'openjdk version \"16.0.2\"' >&2")
    with pytest.raises(Misconfigured, match=r"17 or newer and \S+/java is 16; .*install-system-packages.sh java"):
        find_java()


def test_java_home_goes_before_the_path(only_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(only_path, "java", "echo 'openjdk version \"11.0.2\"' >&2")
    java = program(tmp_path / "home" / "bin", "java", "echo 'openjdk version \"21.0.2\"' >&2")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    assert find_java() == java

    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "gone"))
    with pytest.raises(Misconfigured, match=r"none in JAVA_HOME"):
        find_java()


def test_a_java_without_a_version_is_refused(only_path: Path) -> None:
    program(only_path, "java", "echo 'no runtime present' >&2; exit 1")
    with pytest.raises(Misconfigured, match="no runtime present"):
        find_java()


@pytest.mark.usefixtures("only_path")
def test_no_maven_is_told_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"Maven .* not installed; .*install-system-packages.sh java"):
        fetch_jars(tmp_path / "jars")


def test_a_failed_fetch_leaves_no_jars(only_path: Path, tmp_path: Path) -> None:
    program(only_path, "mvn", "echo 'Could not resolve org.apache.kafka'; exit 1")
    with pytest.raises(Misconfigured, match=rf"Kafka {kafka_version()}:\nCould not resolve"):
        fetch_jars(tmp_path / "state" / "jars")
    assert list((tmp_path / "state").iterdir()) == []


def test_jars_are_fetched_once(only_path: Path, tmp_path: Path) -> None:
    program(only_path, "mvn", "exit 1")
    (tmp_path / "jars").mkdir()
    fetch_jars(tmp_path / "jars")
