"""The topics of a backfill test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.backfill.rig import Rig


@pytest.fixture
def rig(bootstrap_servers: str, namespace: str, tmp_path: Path) -> Iterator[Rig]:
    """The topics, empty, in a namespace of their own."""
    rig = Rig(bootstrap_servers, tmp_path)
    yield rig
    rig.close()
