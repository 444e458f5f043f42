"""The script that ensures Python, Java, Maven, Chromium and Prometheus, run among programs that stand for a machine."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tapeline.ops.resources import resource

SCRIPT = resource("deploy", "install-system-packages.sh")
JAVA_17 = "echo 'openjdk version \"17.0.1\"' >&2"
JAVA_11 = "echo 'openjdk version \"11.0.1\"' >&2"


class Machine:
    """A path with a few programs, each a line of shell; apt-get writes down what it was asked for."""

    def __init__(self, folder: Path, user_id: int) -> None:
        self.folder = folder
        self.asked = folder / "asked"
        for name in ("sed", "grep", "basename"):
            (folder / name).symlink_to(str(shutil.which(name)))
        self.has("id", f"echo {user_id}")

    def has(self, name: str, script: str) -> None:
        (self.folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.folder / name).chmod(0o755)

    def has_apt(self, *packages: str) -> None:
        self.has("apt-get", f'echo "$@" >> {self.asked}')
        known = "|".join(packages)
        self.has("apt-cache", f'case "$2" in {known}) echo "Package: $2" ;; *) exit 1 ;; esac')

    def run(self, *parts: str) -> subprocess.CompletedProcess[str]:
        shell = str(shutil.which("sh"))
        return subprocess.run(
            [shell, SCRIPT, *parts], env={"PATH": str(self.folder)}, capture_output=True, text=True, timeout=30
        )


@pytest.fixture
def user(tmp_path: Path) -> Machine:
    return Machine(tmp_path, user_id=1000)


@pytest.fixture
def root(tmp_path: Path) -> Machine:
    return Machine(tmp_path, user_id=0)


def test_says_and_does_nothing_where_nothing_is_missing(root: Machine) -> None:
    root.has("java", JAVA_17)
    root.has("mvn", "true")
    root.has("python3", "true")
    root.has_apt("openjdk-17-jre-headless")
    done = root.run()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not root.asked.exists()


def test_root_on_debian_installs_the_newest_java_there_is(root: Machine) -> None:
    root.has("java", JAVA_11)
    root.has_apt("openjdk-17-jre-headless", "openjdk-21-jre-headless")
    done = root.run("java")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "installing Java 17, Maven with apt-get\n"
    update, install = root.asked.read_text().splitlines()
    assert update.startswith("update")
    assert install.split()[-2:] == ["openjdk-21-jre-headless", "maven"]


def test_another_user_on_debian_is_told_the_command(user: Machine) -> None:
    user.has("java", JAVA_17)
    user.has("python3", 'case "$2" in *ensurepip*) exit 1 ;; esac')
    user.has_apt("openjdk-17-jre-headless")
    done = user.run("python", "java")
    assert done.returncode == 2
    assert done.stderr == (
        "missing: Python's venv, Maven; this installs it: "
        "sudo apt-get install -y --no-install-recommends python3-venv maven\n"
    )
    assert not user.asked.exists()


def test_elsewhere_the_command_is_of_brew(user: Machine) -> None:
    done = user.run("java")
    assert done.returncode == 2
    assert done.stderr.endswith("this installs it: brew install openjdk@21 maven\n")


def test_a_python_of_another_release_is_not_installed_over(root: Machine) -> None:
    root.has("python3", 'case "$1" in -V) echo Python 3.9.2 ;; *) exit 1 ;; esac')
    root.has_apt("python3")
    done = root.run("python")
    assert done.returncode == 2
    assert "python3 is Python 3.9.2; name another one: make PYTHON=" in done.stderr


@pytest.mark.parametrize("name", ["chromium", "chromium-browser", "google-chrome"])
def test_a_chromium_that_runs_is_enough(root: Machine, name: str) -> None:
    root.has(name, "echo Chromium 156")
    root.has_apt("chromium")
    done = root.run("chromium")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not root.asked.exists()


def test_root_on_debian_installs_chromium(root: Machine) -> None:
    root.has_apt("chromium")
    done = root.run("chromium")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "installing Chromium with apt-get\n"
    assert root.asked.read_text().splitlines()[-1].split()[-2:] == ["chromium", "fonts-liberation"]


def test_where_chromium_is_only_a_snap_another_way_is_told(root: Machine) -> None:
    root.has("chromium-browser", "echo 'install the snap' >&2; exit 1")
    root.has_apt("chromium-browser")
    done = root.run("chromium")
    assert done.returncode == 2
    assert "snap" in done.stderr
    assert "playwright install --with-deps chromium" in done.stderr
    assert "install -y" not in root.asked.read_text()


def test_prometheus_comes_with_promtool(root: Machine) -> None:
    root.has("prometheus", "true")
    root.has_apt("prometheus")
    assert root.run("prometheus").stdout == "installing Prometheus with apt-get\n"
    assert root.asked.read_text().splitlines()[-1].split()[-1] == "prometheus"
    root.has("promtool", "true")
    assert root.run("prometheus").stdout == ""


def test_chromium_is_not_installed_unasked(root: Machine) -> None:
    root.has("java", JAVA_17)
    root.has("mvn", "true")
    root.has("python3", "true")
    root.has_apt("chromium")
    assert root.run().returncode == 0
    assert not root.asked.exists()


def test_an_unknown_part_is_refused(user: Machine) -> None:
    done = user.run("ruby")
    assert done.returncode == 2
    assert "ruby" in done.stderr
