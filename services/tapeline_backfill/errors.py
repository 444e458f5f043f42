"""What can keep a request from being done, beside what back ends and Kafka raise.

Retryable
├── NotYet          no back end has that part of the window yet
└── Unequal         what was read, what is on the tape and what the vendor counts are not the same
Misconfigured
└── NeverThere      no back end will ever have that part of the window
"""

from __future__ import annotations

from tapeline.errors import Misconfigured, Retryable


class NotYet(Retryable):
    """No back end has a part of the window yet; `at_ns` (ns since the epoch) is when one will."""

    def __init__(self, message: str, at_ns: int) -> None:
        super().__init__(message)
        self.at_ns = at_ns


class Unequal(Retryable):
    """Counts disagree; everything is read once more, and what is on the tape is not published again."""


class NeverThere(Misconfigured):
    """No back end has a part of the window, nor will any."""
