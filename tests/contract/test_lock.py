"""requirements.lock: hashes for everything, addresses for nothing, all that pyproject.toml asks for."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tapeline.ops.resources import REPOSITORY_ROOT

LOCK = (REPOSITORY_ROOT / "requirements.lock").read_text()
PINS = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)(.*(?:\n    .*)*)", LOCK, re.MULTILINE)


def asked_for() -> list[str]:
    project = tomllib.loads((REPOSITORY_ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"].values()
    groups = (project["project"]["dependencies"], project["dependency-groups"]["dev"], *extras)
    return sorted({requirement for group in groups for requirement in group})


def test_no_address() -> None:
    assert "://" not in LOCK
    assert "index-url" not in LOCK
    assert "find-links" not in LOCK


def test_every_pin_has_a_hash() -> None:
    assert len(PINS) > 50
    assert [name for name, _version, rest in PINS if "--hash=sha256:" not in rest] == []


@pytest.mark.parametrize("requirement", asked_for())
def test_what_is_asked_for_is_pinned(requirement: str) -> None:
    wanted = Requirement(requirement)
    pinned = [version for name, version, _ in PINS if canonicalize_name(name) == canonicalize_name(wanted.name)]
    assert pinned
    assert all(wanted.specifier.contains(version) for version in pinned)
