"""What can end a session with Databento's gateway, or keep one from beginning.

    Retryable
    ├── GatewayAway        no connection, or no authentication in time
    ├── Disconnected       the connection ended: closed, reset, or cut inside a record
    ├── Silent             nothing came for longer than heartbeats allow, or a subscription stalled
    ├── Undecodable        what came is no DBN, or does not fit what came before
    ├── GatewayError       the gateway sent an error that a new session may mend
    │   └── ReplayAgedOut      the replay that was asked for is too old: connect without it
    └── BooksLost          too many books became doubtful: begin all of them anew

Errors that no retry mends (key, entitlement, symbols) are `tapeline.errors.Refused`.
"""

from __future__ import annotations

from tapeline.errors import Retryable


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


class BooksLost(Retryable):
    """More order books became doubtful than are mended one by one."""
