"""How a subscription becomes what is read from the tape, and what the client is told about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from tapeline_simulator.databento import wire
from tapeline_simulator.databento.ledger import EVERYONE, Want
from tapeline_simulator.databento.reading import TapeReader
from tapeline_simulator.databento.service import Service
from tapeline_simulator.databento.subscriptions import Subscription, earliest_replay_ns, replay_clock
from tapeline_simulator.databento.wire import Fault, Notice
from tapeline_simulator.listings import ALL_SYMBOLS, Listing

_MAY_GROW: Final = ("parent",)


@dataclass(slots=True)
class _Admitted:
    subscription: Subscription
    want: Want
    known: set[int] = field(default_factory=set)


class Admission:
    """Admits the subscriptions of one session to `reader`; `tell` takes records that go to the client, in order."""

    def __init__(self, service: Service, reader: TapeReader, tell: Callable[[bytes], None]) -> None:
        self._service = service
        self._reader = reader
        self._tell = tell
        self._admitted: list[_Admitted] = []
        self._listed = 0

    def admit(self, subscription: Subscription, *, with_replay: bool) -> None:
        """Acknowledge a subscription, say which instruments it means, and read for it from now on.

        Without `with_replay` its start is ignored. A symbol that means nothing is an error record, and no more.
        """
        now_ns, tape = self._service.clock_ns(), self._service.tape
        schema = subscription.schema
        self._tell(
            wire.system_record(
                Notice.SUBSCRIPTION_ACK,
                f"Subscription request {subscription.number} for {schema} data succeeded",
                now_ns,
            )
        )
        start_ns = subscription.start_ns if with_replay else None
        if start_ns is not None:
            start_ns = max(start_ns, earliest_replay_ns(tape.dataset, schema, now_ns))
        # All there is includes orders that rested long before they were told in a snapshot.
        clock = replay_clock(schema) if subscription.start_ns else "ts_recv"
        admitted = _Admitted(subscription, Want(EVERYONE, tape.end(schema), start_ns, clock))
        for symbol in subscription.symbols:
            listings = tape.listings.resolve(subscription.stype_in, symbol, now_ns)
            if not listings and symbol != ALL_SYMBOLS:
                self._tell(wire.error_record(Fault.SYMBOL_RESOLUTION_FAILED, symbol, now_ns))
            self._map(admitted, symbol, listings, now_ns)
        if ALL_SYMBOLS not in subscription.symbols:
            admitted.want = replace(admitted.want, instrument_ids=_ids(admitted.known))
        if subscription.snapshot:
            for number in sorted(admitted.known):
                for record in self._service.books.snapshot(number):
                    self._tell(record.tobytes())
        lost = [fault["count"] for fault in self._service.faults.active("lost-replay")]
        self._reader.add(schema, admitted.want, lose=sum(lost))
        self._admitted.append(admitted)
        self._listed = len(tape.listings)

    def is_aged_out(self, subscription: Subscription) -> bool:
        """Return whether the replay that is asked for begins before what is kept; 0 asks for what there is."""
        if not subscription.start_ns:
            return False
        tape, now_ns = self._service.tape, self._service.clock_ns()
        return subscription.start_ns < earliest_replay_ns(tape.dataset, subscription.schema, now_ns)

    def follow_listings(self) -> None:
        """Say which instruments are new, and read them too, where a subscription means all that are listed."""
        listings = self._service.tape.listings
        if len(listings) == self._listed:
            return
        self._listed = len(listings)
        now_ns = self._service.clock_ns()
        for admitted in self._admitted:
            subscription, known = admitted.subscription, len(admitted.known)
            for symbol in subscription.symbols:
                if subscription.stype_in in _MAY_GROW or symbol == ALL_SYMBOLS:
                    self._map(admitted, symbol, listings.resolve(subscription.stype_in, symbol, now_ns), now_ns)
            if len(admitted.known) > known and admitted.want.instrument_ids is not EVERYONE:
                admitted.want = self._reader.widen(subscription.schema, admitted.want, _ids(admitted.known))

    def _map(self, admitted: _Admitted, symbol: str, listings: list[Listing], now_ns: int) -> None:
        for listing in listings:
            if listing.instrument_id not in admitted.known:
                admitted.known.add(listing.instrument_id)
                self._tell(wire.mapping_record(admitted.subscription.stype_in, symbol, listing, now_ns))


def _ids(known: set[int]) -> npt.NDArray[np.uint32]:
    return np.array(sorted(known), dtype=np.uint32)
