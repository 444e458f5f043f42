"""The operators' states as one checkpoint."""

from __future__ import annotations

import pytest
from tests.unit.orderflow.builders import T0, S, trade_frame

from tapeline.errors import BadData
from tapeline.orderflow import partition
from tapeline.orderflow.contracts import ContractBook
from tapeline.orderflow.parts import pack_parts
from tapeline.orderflow.sessions import Sessions
from tapeline_processor.operators.states import OperatorStates, pack_states, unpack_states

SESSIONS = Sessions.always()
FIRST = trade_frame([(T0, "B", 100, 1)])
SECOND = trade_frame([(T0 + 2 * S, "B", 100, 1)], frame=1)


def with_ticks() -> OperatorStates:
    states = OperatorStates.empty(SESSIONS, ContractBook())
    states.pressure.apply(FIRST)
    return states


def test_states_go_on_as_if_they_had_not_been_saved() -> None:
    states = with_ticks()
    again = unpack_states(pack_states(states.copy()), SESSIONS, ContractBook())
    assert again.ticks == states.ticks == 1
    assert again.pressure.apply(SECOND) == states.pressure.apply(SECOND) != []


def test_a_checkpoint_of_pressure_alone_still_loads() -> None:
    old = partition.pack(with_ticks().pressure.copy())
    assert unpack_states(old, SESSIONS, ContractBook()).ticks == 1


def test_what_a_checkpoint_does_not_hold_begins_empty() -> None:
    assert unpack_states(pack_parts({}), SESSIONS, ContractBook()).ticks == 0
    assert unpack_states(pack_parts({"of_another_version": b"x"}), SESSIONS, ContractBook()).ticks == 0


def test_a_part_that_is_damaged_is_refused() -> None:
    damaged = bytearray(pack_states(with_ticks().copy()))
    damaged[-1] ^= 1
    with pytest.raises(BadData, match="damaged"):
        unpack_states(bytes(damaged), SESSIONS, ContractBook())


def test_a_copy_does_not_change_with_its_state() -> None:
    states = with_ticks()
    before = pack_states(copy := states.copy())
    states.pressure.apply(SECOND)
    assert pack_states(copy) == before
