"""Turn trades of options into option flow, per underlying future, expiry and window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tapeline.model.chains import Chain
from tapeline.model.frames import TickFrame
from tapeline.model.instruments import Instrument
from tapeline.orderflow.contracts import ContractBook
from tapeline.orderflow.packing import PartitionCopy, Unpacker
from tapeline.orderflow.partition import RowMessage

WINDOWS_MS: Final = (1_000, 10_000, 60_000)


class OptionFlow:
    """All option streams of one partition of a ticks topic. `contracts` may be shared by many."""

    def __init__(self, contracts: ContractBook, windows_ms: Sequence[int] = WINDOWS_MS) -> None:
        self.contracts = contracts

    def define(self, instrument: Instrument) -> None:
        """Take a definition into the contracts: once is enough for all who share them."""
        self.contracts.define(instrument)

    def take_chain(self, chain: Chain) -> None:
        """Take a chain with delta and vega, which trades after its `as_of` are valued with."""
        raise NotImplementedError

    def apply(self, frame: TickFrame) -> list[RowMessage]:
        """Take in a frame of any kind; return the rows of the windows that it closes, keyed by underlying and expiry."""
        raise NotImplementedError

    def copy(self) -> PartitionCopy:
        """Copy the state as it is between two frames."""
        raise NotImplementedError

    @classmethod
    def from_unpacker(cls, unpacker: Unpacker, contracts: ContractBook) -> OptionFlow:
        """Return the state that was packed, to go on with these contracts."""
        raise NotImplementedError
