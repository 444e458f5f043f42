"""What can end a session with Databento's gateway, or keep one from beginning.

    Retryable
    ├── GatewayAway        no connection, or no authentication in time
    ├── Disconnected       the connection ended: closed, reset, or cut inside a record
    ├── Silent             nothing came for longer than heartbeats allow, or a subscription stalled
    ├── Undecodable        what came is no DBN, or does not fit what came before
    ├── GatewayError       the gateway sent an error that a new session may mend
    │   ├── ReplayAgedOut      the replay that was asked for is too old: connect without it
    │   └── NotReplayed        the replay knows nothing of some symbol: history will
    ├── BooksLost          too many books became doubtful: begin all of them anew
    ├── HistoryAway        the Historical API does not answer, or not now
    └── CutAnswer          its answer is not whole
    Misconfigured
    ├── NotHistory         the range that was asked for is not history: too early, or not yet
    │   └── NotYetHistory      it will be, later
    └── Refused
        ├── KeyRefused         the vendor does not know the key, or no longer takes it
        ├── NotEntitled        the key is good, and the account may not have the dataset
        └── Unresolved         the symbols mean nothing in that range

Other errors that no retry mends are `tapeline.errors.Refused` itself.
"""

from __future__ import annotations

from tapeline.errors import Misconfigured, Refused, Retryable


class GatewayAway(Retryable):
    """The gateway does not take connections, or does not authenticate in time."""


class Disconnected(Retryable):
    """The connection ended."""


class Silent(Retryable):
    """Nothing came for longer than may be."""


class Undecodable(Retryable):
    """What the gateway sent breaks its own rules."""


class GatewayError(Retryable):
    """The gateway sent an error that ends the session; another session may go better."""


class ReplayAgedOut(GatewayError):
    """The gateway no longer has the data from where its replay was asked to start."""


class NotReplayed(GatewayError):
    """The gateway's replay does not know some of the symbols that were asked for."""


class BooksLost(Retryable):
    """More order books became doubtful than are mended one by one."""


class HistoryAway(Retryable):
    """The Historical API does not answer, or not now; `retry_after_s` is how long it asks to be left alone."""

    def __init__(self, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class CutAnswer(Retryable):
    """The Historical API's answer is not whole: it ended early, or has not as many records as the vendor counts."""


class NotHistory(Misconfigured):
    """The range that was asked for is not history."""


class NotYetHistory(NotHistory):
    """The range that was asked for is younger than history, which ends at `until_ns`; 0: the vendor does not say."""

    def __init__(self, message: str, until_ns: int) -> None:
        super().__init__(message)
        self.until_ns = until_ns


class KeyRefused(Refused):
    """The vendor does not accept the key."""


class NotEntitled(Refused):
    """The account may not have the dataset."""


class Unresolved(Refused):
    """None of the symbols means an instrument in the range."""
