"""Assemble live option chains from the ticks of the option streams of one partition."""

from __future__ import annotations

from collections.abc import Mapping

from tapeline.model.chains import Chain, UnderlyingPrice
from tapeline.model.frames import TickFrame
from tapeline.model.instruments import Instrument
from tapeline.orderflow.contracts import ContractBook
from tapeline.orderflow.packing import PartitionCopy, Unpacker


class ChainAssembler:
    """All option streams of one partition of a ticks topic. `contracts` may be shared by many."""

    def __init__(self, contracts: ContractBook) -> None:
        self.contracts = contracts

    def define(self, instrument: Instrument) -> None:
        """Take a definition into the contracts: once is enough for all who share them."""
        self.contracts.define(instrument)

    def apply(self, frame: TickFrame) -> None:
        """Take in a frame of any kind."""
        raise NotImplementedError

    def due(self, now_ns: int, underlyings: Mapping[str, UnderlyingPrice]) -> list[Chain]:
        """Return what changed, at most one chain per second and key; without forward and volatilities.

        `underlyings`: what futures are worth now, by raw symbol. `now_ns` becomes `published_at`.
        """
        raise NotImplementedError

    def copy(self) -> PartitionCopy:
        """Copy the state as it is between two frames."""
        raise NotImplementedError

    @classmethod
    def from_unpacker(cls, unpacker: Unpacker, contracts: ContractBook) -> ChainAssembler:
        """Return the state that was packed, to go on with these contracts."""
        raise NotImplementedError
