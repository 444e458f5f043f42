"""The topics of a backfill test."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.integration.backfill.rig import Rig


@pytest.fixture
def rig(bootstrap_servers: str, namespace: str, tmp_path: Path) -> Rig:
    """The topics, empty, in a namespace of their own."""
    return Rig(bootstrap_servers, tmp_path)
