"""Telling how far the file in hand is read."""

from __future__ import annotations

from collections.abc import Callable

OnProgress = Callable[[str, int], None]
"""Is told the name of the file in hand and the bytes read of it; called from another thread."""


def ignore_progress(name: str, bytes_read: int) -> None:
    """Take no notice of the progress."""
