"""The Makefile explains itself, and has what the README and CI call."""

from __future__ import annotations

import re
import subprocess

from tapeline.ops.resources import REPOSITORY_ROOT

CHORES = {
    *("screenshots", "setup", "demo", "test", "chaos", "check", "bench", "lock", "clean"),
    *("kafka-up", "kafka-down", "up", "down", "test-compose"),
}


def test_make_alone_shows_every_chore() -> None:
    shown = subprocess.run(["make"], cwd=REPOSITORY_ROOT, capture_output=True, text=True, check=True, timeout=30).stdout
    assert set(re.findall(r"^  make (\S+) +\S", shown, re.MULTILINE)) == CHORES | {"help"}


def test_no_chore_is_mistaken_for_a_file() -> None:
    declared = re.search(r"^\.PHONY: (.*)$", (REPOSITORY_ROOT / "Makefile").read_text(), re.MULTILINE)
    assert declared
    assert set(declared[1].split()) >= CHORES | {"help"}
