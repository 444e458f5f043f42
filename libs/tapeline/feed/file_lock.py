"""A lock between processes, by a file.

The kernel holds it (`flock`), so it cannot be stale: it is free the moment its process ends, however that ends. What
a dead process leaves is an empty file that the next one takes. Not for network file systems.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from tapeline.errors import Retryable

_LOOK_EVERY_S: Final = 0.05


@contextmanager
def file_lock(path: Path, wait_s: float) -> Iterator[None]:
    """Hold the lock at `path`, which is made and removed; its folder must be there.

    Raises Retryable if another process, or another thread of this one, still holds it after `wait_s`.
    """
    deadline = time.monotonic() + wait_s
    while (descriptor := _try(path)) is None:
        if time.monotonic() >= deadline:
            raise Retryable(f"{path} is still held by another process after {wait_s:g} s")
        time.sleep(_LOOK_EVERY_S)
    try:
        yield
    finally:
        # Removed while it is held: whoever waits on the removed file finds that out and makes a new one.
        with suppress(FileNotFoundError):
            path.unlink()
        os.close(descriptor)


def _try(path: Path) -> int | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_ino == path.stat().st_ino:
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None
