"""Fixtures of the processor's tests: a tape in its own namespace, and workers that never outlive a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.integration.processor.tape import Tape
from tests.integration.processor.worker import Worker

from tapeline_processor.app import sessions
from tapeline_processor.kernels import load


@pytest.fixture
def make_tape(bootstrap_servers: str, namespace: str) -> Callable[[int], Tape]:
    """Make the topics of this test's namespace, with a number of partitions."""
    return lambda partitions: Tape(bootstrap_servers, partitions)


@pytest.fixture(scope="session")
def kernels() -> None:
    """Compile the kernels once, or the first workers of a fresh checkout would all do so at the same time."""
    load(sessions())


@pytest.fixture
def start(kernels: None, bootstrap_servers: str, namespace: str, tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Start a worker with the given settings; whatever still runs at the end is killed."""
    workers: list[Worker] = []

    def begin(**settings: object) -> Worker:
        workers.append(Worker(tmp_path / f"worker-{len(workers)}.log", bootstrap_servers, **settings))
        return workers[-1]

    yield begin
    for worker in workers:
        if worker.process.poll() is None:
            worker.kill()
