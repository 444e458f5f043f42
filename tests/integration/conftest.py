"""What several packages' integration tests ask for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tapeline_cli.local_broker import LocalBroker, state_folder


@pytest.fixture(scope="module")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBroker]:
    """A broker of the test's own, which may be stopped and killed."""
    broker = LocalBroker(tmp_path_factory.mktemp("broker"), jars=LocalBroker(state_folder()).jars)
    broker.start()
    yield broker
    broker.stop(timeout_s=20.0)
