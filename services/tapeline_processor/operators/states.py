"""What the operators of one partition remember, as one: copied and saved together, so that they never disagree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tapeline.orderflow import partition
from tapeline.orderflow.packing import PartitionCopy, pack
from tapeline.orderflow.partition import PartitionState
from tapeline.orderflow.parts import PRESSURE, pack_parts, unpack_parts
from tapeline.orderflow.sessions import Sessions

StatesCopy = Mapping[str, PartitionCopy]
"""The operators' states at one moment, by the name of the checkpoint's part."""


@dataclass(slots=True)
class OperatorStates:
    """The states of one partition, in the order in which their operators see a frame."""

    pressure: PartitionState

    @classmethod
    def empty(cls, sessions: Sessions) -> OperatorStates:
        """Return states that have seen nothing."""
        return cls(pressure=PartitionState(sessions))

    @property
    def ticks(self) -> int:
        """Ticks applied."""
        return self.pressure.ticks

    def copy(self) -> StatesCopy:
        """Copy the states as they are between two frames: quick, for the thread that applies frames."""
        return {PRESSURE: self.pressure.copy()}


def pack_states(copy: StatesCopy) -> bytes:
    """Return the copy as bytes, not compressed; touches nothing else, so any thread may run it."""
    return pack_parts({name: pack(part) for name, part in copy.items()})


def unpack_states(data: bytes, sessions: Sessions) -> OperatorStates:
    """Return the states that `pack_states` wrote; one whose part is not there is empty.

    Raises BadData on a foreign version and on damaged bytes.
    """
    parts = unpack_parts(data)
    states = OperatorStates.empty(sessions)
    if PRESSURE in parts:
        states.pressure = partition.unpack(parts[PRESSURE], sessions)
    return states
