"""Fixtures of the bus' tests: the declared topics in the test's namespace, and a publisher."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tapeline.bus.publisher import Publisher
from tapeline.bus.topics import apply_topics, load_topics


@pytest.fixture
def cluster(bootstrap_servers: str, namespace: str) -> str:
    """The broker, with every declared topic in this test's namespace."""
    apply_topics(bootstrap_servers, load_topics().values())
    return bootstrap_servers


@pytest.fixture
async def publisher(cluster: str) -> AsyncIterator[Publisher]:
    """A publisher that ends with nothing undelivered."""
    publisher = Publisher(cluster, "test")
    yield publisher
    assert await publisher.close(10.0) == 0
