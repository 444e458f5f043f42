"""What all sessions of a gateway share."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from tapeline_simulator.databento.books import Books
from tapeline_simulator.databento.faults import GatewayFaults
from tapeline_simulator.databento.marks import BadBooks
from tapeline_simulator.databento.tape import VendorTape


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """How the gateway treats its clients; the defaults are the vendor's."""

    heartbeat_interval_s: float = 30.0
    """Where a client asks for none."""
    least_heartbeat_interval_s: float = 5.0
    most_heartbeat_interval_s: float = 1_800.0
    authentication_s: float = 30.0
    """A client that takes longer to authenticate is disconnected."""
    slow_after_s: float = 1.0
    """A client that takes longer to make room for a batch, of about a megabyte at most, reads slowly."""
    most_sessions: int = 10
    connections_per_s: int | None = None
    """Connections beyond it are closed at once; None: any number."""
    send_buffer_bytes: int | None = None
    """Of the kernel, per connection; None: as it likes."""


@dataclass(frozen=True, slots=True)
class Service:
    """What all sessions of a gateway share.

    `clock_ns` is the vendor's; `challenge` makes one that is new; `count_sessions` says how many are authenticated.
    """

    tape: VendorTape
    books: Books
    bad_books: BadBooks
    faults: GatewayFaults
    keys: Collection[str]
    settings: GatewaySettings
    clock_ns: Callable[[], int]
    challenge: Callable[[], str]
    count_sessions: Callable[[], int]
