"""What the operators of one partition remember, as one: copied and saved together, so that they never disagree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tapeline.model.instruments import Instrument
from tapeline.orderflow import partition
from tapeline.orderflow.assembly import ChainAssembler
from tapeline.orderflow.contracts import ContractBook
from tapeline.orderflow.layout import Int64s
from tapeline.orderflow.option_flow import OptionFlow
from tapeline.orderflow.packing import PartitionCopy, Unpacker, pack
from tapeline.orderflow.partition import PartitionState
from tapeline.orderflow.parts import PRESSURE, pack_parts, unpack_parts
from tapeline.orderflow.sessions import Sessions
from tapeline.quality.tick_definitions import Definitions
from tapeline.quality.ticks import TickQuality

OPTION_FLOW: Final = "option_flow"
ASSEMBLY: Final = "assembly"
TICK_QUALITY: Final = "tick_quality"

StatesCopy = Mapping[str, PartitionCopy]
"""The operators' states at one moment, by the name of the checkpoint's part."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What the operators of all partitions share: when is traded, and what the definitions say so far."""

    sessions: Sessions
    contracts: ContractBook = field(default_factory=ContractBook)
    definitions: Definitions = field(default_factory=Definitions)

    def define(self, instrument: Instrument) -> None:
        """Take a definition."""
        self.contracts.define(instrument)
        self.definitions.define(instrument)

    def hours(self, dataset: str) -> Int64s:
        """Return the trading intervals of a dataset: int64, a row each, that begins with open and close (ns)."""
        return self.sessions.of(dataset).table()


@dataclass(slots=True)
class OperatorStates:
    """The states of one partition, in the order in which their operators see a frame.

    An operator that is added gets a field here, a part of the checkpoint of its own, and a call in agents/ticks.py.
    """

    pressure: PartitionState
    option_flow: OptionFlow
    assembler: ChainAssembler
    tick_quality: TickQuality

    @classmethod
    def empty(cls, reference: Reference) -> OperatorStates:
        """Return states that have seen nothing."""
        return cls(
            PartitionState(reference.sessions),
            OptionFlow(reference.contracts),
            ChainAssembler(reference.contracts),
            TickQuality(reference.hours, reference.definitions),
        )

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
            TICK_QUALITY: PartitionCopy(*self.tick_quality.copy()),
        }


def pack_states(copy: StatesCopy) -> bytes:
    """Return the copy as bytes, not compressed; touches nothing else, so any thread may run it."""
    return pack_parts({name: pack(part) for name, part in copy.items()})


def unpack_states(data: bytes, reference: Reference) -> OperatorStates:
    """Return the states that `pack_states` wrote; one whose part is not there is empty.

    Raises BadData on a foreign version and on damaged bytes.
    """
    parts = unpack_parts(data)
    states = OperatorStates.empty(reference)
    if PRESSURE in parts:
        states.pressure = partition.unpack(parts[PRESSURE], reference.sessions)
    if OPTION_FLOW in parts:
        states.option_flow = OptionFlow.from_unpacker(Unpacker(parts[OPTION_FLOW]), reference.contracts)
    if ASSEMBLY in parts:
        states.assembler = ChainAssembler.from_unpacker(Unpacker(parts[ASSEMBLY]), reference.contracts)
    if TICK_QUALITY in parts:
        unpacker = Unpacker(parts[TICK_QUALITY])
        states.tick_quality = TickQuality.from_packed(unpacker, reference.hours, reference.definitions)
    return states
