"""Errors of the processor, leaves of the tree in `tapeline.errors`.

Bug
└── LostPlace    a message is not the one that follows the state
"""

from __future__ import annotations

from tapeline.errors import Bug


class LostPlace(Bug):
    """A message is not the one that follows the state: crash, and resume from the last checkpoint."""

    def __init__(self, topic: str, partition: int, expected: int, got: int) -> None:
        super().__init__(f"{topic}[{partition}]: expected offset {expected}, got {got}")
