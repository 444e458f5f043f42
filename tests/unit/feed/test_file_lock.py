"""A lock is held by one, and by none that is dead."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path

import pytest

from tapeline.errors import Retryable
from tapeline.feed.file_lock import file_lock


def test_a_lock_is_held_by_one_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with file_lock(path, 0.0), pytest.raises(Retryable, match=r"x\.lock is still held"), file_lock(path, 0.01):
        pass
    assert not path.exists()
    with file_lock(path, 0.0):
        assert path.exists()


def test_who_waits_gets_it_when_it_is_free(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    held = threading.Event()
    order: list[str] = []

    def wait() -> None:
        held.wait(30)
        with file_lock(path, 30.0):
            order.append("second")

    waiter = threading.Thread(target=wait)
    waiter.start()
    with file_lock(path, 0.0):
        held.set()
        with pytest.raises(Retryable), file_lock(path, 0.1):
            pass
        order.append("first")
    waiter.join(30)
    assert order == ["first", "second"]


def test_what_an_error_leaves_is_free(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with pytest.raises(ValueError, match="inside"), file_lock(path, 0.0):
        raise ValueError("inside")
    with file_lock(path, 0.0):
        pass


def test_a_lock_on_a_file_that_was_removed_meanwhile_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.lock"
    real = fcntl.flock
    with (tmp_path / "another").open("w") as other:

        def late(descriptor: int, operation: int) -> None:
            # Between its opening and its locking the holder before went, and another one came.
            path.unlink()
            (tmp_path / "another").rename(path)
            real(other, fcntl.LOCK_EX)
            monkeypatch.setattr(fcntl, "flock", real)
            real(descriptor, operation)

        monkeypatch.setattr(fcntl, "flock", late)
        with pytest.raises(Retryable), file_lock(path, 0.0):
            pass
