"""The tape of a test: its own topics on the run's broker."""

from __future__ import annotations

import pytest
from tests.integration.saved.tape import SavedTape


@pytest.fixture
def tape(bootstrap_servers: str, namespace: str) -> SavedTape:
    """The saved-files producer's topics, empty."""
    return SavedTape(bootstrap_servers)
