"""The command line: which commands there are, what loads, how errors are told."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import EntryPoint, entry_points, version
from pathlib import Path

import pytest

from tapeline.errors import MissingExtra
from tapeline_cli.main import SUMMARIES, load_command

TAPELINE = Path(sys.executable).with_name("tapeline")

SAMPLE = '''
import typer
from tapeline.errors import BadData, Misconfigured

def plain(size: int = 3) -> None:
    """Print a size."""
    typer.echo(f"size {size}")

grouped = typer.Typer()

@grouped.command()
def first() -> None:
    typer.echo("first of the group")

@grouped.command()
def second() -> None: ...

def misconfigured() -> None:
    raise Misconfigured("set TAPELINE_X to a number")

def bad() -> None:
    raise BadData("columns.price", "is an int64")

def interrupted() -> None:
    raise KeyboardInterrupt

def broken() -> None:
    raise ValueError("a bug")
'''


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """A distribution that adds commands, as another package would."""
    (tmp_path / "tapeline_sample.py").write_text(SAMPLE)
    (tmp_path / "tapeline_needy.py").write_text("import a_package_that_nobody_has.part\n")
    metadata = tmp_path / "sample-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: sample\nVersion: 1\n")
    names = ("plain", "grouped", "misconfigured", "bad", "interrupted", "broken")
    lines = ["[tapeline.commands]", *(f"{name} = tapeline_sample:{name}" for name in names)]
    lines.append("needy = tapeline_needy:needy")
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def run(*arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | ({"PYTHONPATH": str(path)} if path else {})
    return subprocess.run([TAPELINE, *arguments], env=environment, capture_output=True, text=True, timeout=30)


def test_help_lists_every_command_and_imports_no_service() -> None:
    script = (
        "import sys; from tapeline_cli.main import main\n"
        "sys.argv = ['tapeline', '--help']\n"
        "try: main()\n"
        "except SystemExit: print(sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True)
    for name in _installed():
        assert f"\n  {name} " in done.stdout
    loaded = {name.strip(" []'\n").partition(".")[0] for name in done.stderr.split(",")}
    services = {"tapeline_processor", "tapeline_saved", "tapeline_simulator"}
    assert loaded.isdisjoint(services | {"numpy", "numba", "confluent_kafka", "faust", "pydantic", "rich"})
    assert "typer" in loaded


def test_every_command_has_a_summary() -> None:
    assert set(SUMMARIES) == _installed()


def test_version() -> None:
    assert run("--version").stdout == f"tapeline {version('tapeline')}\n"


def test_a_plain_function_and_a_group_of_another_distribution(sample: Path) -> None:
    assert run("plain", "--size", "5", path=sample).stdout == "size 5\n"
    assert run("grouped", "first", path=sample).stdout == "first of the group\n"
    assert "\n  plain" in run("--help", path=sample).stdout


@pytest.mark.parametrize(
    ("command", "exit_code", "told"),
    [
        ("misconfigured", 2, "tapeline: set TAPELINE_X to a number\n"),
        ("bad", 1, "tapeline: columns.price: is an int64\n"),
        ("interrupted", 130, ""),
    ],
)
def test_errors_are_told_in_words(sample: Path, command: str, exit_code: int, told: str) -> None:
    done = run(command, path=sample)
    assert (done.returncode, done.stdout, done.stderr) == (exit_code, "", told)


def test_a_bug_keeps_its_stack_trace(sample: Path) -> None:
    done = run("broken", path=sample)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "ValueError: a bug" in done.stderr


def test_an_unknown_command_is_a_usage_error() -> None:
    done = run("replya")
    assert done.returncode == 2
    assert "replya" in done.stderr


def test_a_missing_extra_is_named(sample: Path) -> None:
    done = run("needy", path=sample)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "a_package_that_nobody_has" in done.stderr
    assert "pip install 'tapeline[needy]'" in done.stderr


def test_a_missing_module_of_our_own_is_a_bug() -> None:
    with pytest.raises(ModuleNotFoundError) as caught:
        load_command(EntryPoint("x", "tapeline_nowhere:x", "tapeline.commands"))
    assert not isinstance(caught.value, MissingExtra)


def _installed() -> set[str]:
    return {found.name for found in entry_points(group="tapeline.commands") if found.module.startswith("tapeline_")}
