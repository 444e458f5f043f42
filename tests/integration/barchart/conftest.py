"""A state folder of the test's own, and the producer's topics, empty."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.barchart.producer import Tape


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where calls are counted and chains are kept."""
    monkeypatch.setenv("TAPELINE_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def tape(bootstrap_servers: str, namespace: str) -> Iterator[Tape]:
    """The topics of the producer."""
    tape = Tape(bootstrap_servers)
    yield tape
    tape.close()
