"""Fixtures of the bus' tests: the declared topics in the test's namespace, a publisher, a broker to torment."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tapeline.bus.publisher import Publisher
from tapeline.bus.topics import apply_topics, load_topics
from tapeline_cli.local_broker import LocalBroker, state_folder


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


@pytest.fixture(scope="module")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBroker]:
    """A broker of the test's own, which may be stopped and killed."""
    broker = LocalBroker(tmp_path_factory.mktemp("broker"), jars=LocalBroker(state_folder()).jars)
    broker.start()
    yield broker
    broker.stop(timeout_s=20.0)
