"""Which Chromium is taken, and what is said where there is none that runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tapeline.errors import Misconfigured
from tapeline_barchart.chromium import chromium_environment, chromium_version, find_chromium


def program(folder: Path, name: str, script: str = "echo Chromium 156.0") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_the_setting_comes_first(tmp_path: Path) -> None:
    named = program(tmp_path / "mine", "browser")
    program(tmp_path / "bin", "chromium")
    assert find_chromium(named, {"PATH": str(tmp_path / "bin")}) == named


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.write_text("no program"), Path.mkdir])
def test_a_setting_that_names_no_program_is_told(tmp_path: Path, make: object) -> None:
    path = tmp_path / "browser"
    make(path)  # type: ignore[operator]
    with pytest.raises(Misconfigured, match="TAPELINE_BARCHART_CHROMIUM_PATH"):
        find_chromium(path, {"PATH": ""})


def test_the_system_has_it_under_several_names(tmp_path: Path) -> None:
    for name in ("google-chrome", "chromium-browser", "chromium"):
        newest = program(tmp_path, name)
        assert find_chromium(None, {"PATH": str(tmp_path)}) == newest


def test_what_playwright_has_loaded_is_taken_last(tmp_path: Path) -> None:
    for build in ("1100", "1200"):
        newest = program(tmp_path / ".cache/ms-playwright" / f"chromium-{build}" / "chrome-linux", "chrome")
    assert find_chromium(None, {"PATH": "", "HOME": str(tmp_path)}) == newest


def test_where_there_is_none_the_command_is_told(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"install-system-packages\.sh chromium"):
        find_chromium(None, {"PATH": str(tmp_path), "HOME": str(tmp_path)})


def test_its_version_is_its_last_word(tmp_path: Path) -> None:
    assert (
        chromium_version(program(tmp_path, "chromium", "echo warned; echo Chromium 156.0; echo x >&2"))
        == "Chromium 156.0"
    )


@pytest.mark.parametrize(("script", "said"), [("exit 3", "ends with 3"), ("true", "ends with 0")])
def test_one_that_does_not_run_is_told(tmp_path: Path, script: str, said: str) -> None:
    with pytest.raises(Misconfigured, match=said):
        chromium_version(program(tmp_path, "chromium", script))


def test_ubuntus_word_for_it_is_no_chromium(tmp_path: Path) -> None:
    script = "echo 'requires the chromium snap to be installed' >&2; exit 1"
    with pytest.raises(Misconfigured, match="snap"):
        chromium_version(program(tmp_path, "chromium-browser", script))


def test_our_settings_are_not_its_business() -> None:
    given = {"HOME": "/home/me", "TAPELINE_BARCHART_PASSWORD": "SEKRET", "KAFKA_BOOTSTRAP_SERVERS": "x"}
    assert chromium_environment(given) == {"HOME": "/home/me"}
