"""What the operators of one partition remember, as one: copied and saved together, so that they never disagree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tapeline.orderflow import partition
from tapeline.orderflow.assembly import ChainAssembler
from tapeline.orderflow.contracts import ContractBook
from tapeline.orderflow.option_flow import OptionFlow
from tapeline.orderflow.packing import PartitionCopy, Unpacker, pack
from tapeline.orderflow.partition import PartitionState
from tapeline.orderflow.parts import PRESSURE, pack_parts, unpack_parts
from tapeline.orderflow.sessions import Sessions

OPTION_FLOW: Final = "option_flow"
ASSEMBLY: Final = "assembly"

StatesCopy = Mapping[str, PartitionCopy]
"""The operators' states at one moment, by the name of the checkpoint's part."""


@dataclass(slots=True)
class OperatorStates:
    """The states of one partition, in the order in which their operators see a frame.

    An operator that is added gets a field here, a part of the checkpoint of its own, and a call in agents/ticks.py.
    """

    pressure: PartitionState
    option_flow: OptionFlow
    assembler: ChainAssembler

    @classmethod
    def empty(cls, sessions: Sessions, contracts: ContractBook) -> OperatorStates:
        """Return states that have seen nothing; `contracts` is shared by all partitions of a worker."""
        return cls(PartitionState(sessions), OptionFlow(contracts), ChainAssembler(contracts))

    @property
    def ticks(self) -> int:
        """Ticks applied."""
        return self.pressure.ticks

    def copy(self) -> StatesCopy:
        """Copy the states as they are between two frames: quick, for the thread that applies frames."""
        return {
            PRESSURE: self.pressure.copy(),
            OPTION_FLOW: self.option_flow.copy(),
            ASSEMBLY: self.assembler.copy(),
        }


def pack_states(copy: StatesCopy) -> bytes:
    """Return the copy as bytes, not compressed; touches nothing else, so any thread may run it."""
    return pack_parts({name: pack(part) for name, part in copy.items()})


def unpack_states(data: bytes, sessions: Sessions, contracts: ContractBook) -> OperatorStates:
    """Return the states that `pack_states` wrote; one whose part is not there is empty.

    Raises BadData on a foreign version and on damaged bytes.
    """
    parts = unpack_parts(data)
    states = OperatorStates.empty(sessions, contracts)
    if PRESSURE in parts:
        states.pressure = partition.unpack(parts[PRESSURE], sessions)
    if OPTION_FLOW in parts:
        states.option_flow = OptionFlow.from_unpacker(Unpacker(parts[OPTION_FLOW]), contracts)
    if ASSEMBLY in parts:
        states.assembler = ChainAssembler.from_unpacker(Unpacker(parts[ASSEMBLY]), contracts)
    return states
