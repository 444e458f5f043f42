"""The operators' states as one checkpoint."""

from __future__ import annotations

import pytest
from tests.unit.orderflow.builders import T0, S, clock_frame, mbo_frame, trade_frame
from tests.unit.orderflow.options import C25000, E9, THURSDAYS, option, prints, quotes, valued_chain
from tests.unit.orderflow.options import T0 as T1

from tapeline.errors import BadData
from tapeline.model.chain_codec import encode_chain
from tapeline.orderflow import partition
from tapeline.orderflow.parts import pack_parts
from tapeline.orderflow.sessions import Sessions
from tapeline_processor.operators.states import OperatorStates, Reference, pack_states, unpack_states

SESSIONS = Sessions.always()
FIRST = trade_frame([(T0, "B", 100, 1)])
SECOND = trade_frame([(T0 + 2 * S, "B", 100, 1)], frame=1)


def with_ticks() -> OperatorStates:
    states = OperatorStates.empty(Reference(SESSIONS))
    states.pressure.apply(FIRST)
    return states


def test_states_go_on_as_if_they_had_not_been_saved() -> None:
    states = with_ticks()
    again = unpack_states(pack_states(states.copy()), Reference(SESSIONS))
    assert again.ticks == states.ticks == 1
    assert again.pressure.apply(SECOND) == states.pressure.apply(SECOND) != []


def test_options_go_on_as_if_they_had_not_been_saved() -> None:
    reference = Reference(SESSIONS)
    for symbol in THURSDAYS:
        reference.define(option(symbol))
    states = OperatorStates.empty(reference)
    states.assembler.apply(quotes([(T1, "A", row, 10 * E9, 1, 11 * E9, 1) for row in range(4)]))
    states.option_flow.take_chain(valued_chain(T1, {C25000: (0.5, 2.0)}))
    states.option_flow.apply(prints([(T1 + 1, 0, "B", 10 * E9, 3)]))
    again = unpack_states(pack_states(states.copy()), reference)
    later = prints([(T1 + 2 * S, 0, "B", 10 * E9, 1)], frame=1)
    assert again.option_flow.apply(later) == states.option_flow.apply(later) != []
    (chain,), (same,) = (each.assembler.due(T1 + S, {}) for each in (states, again))
    assert encode_chain(same) == encode_chain(chain)


def test_the_quality_of_ticks_goes_on_as_if_it_had_not_been_saved() -> None:
    reference = Reference(SESSIONS)
    states = OperatorStates.empty(reference)
    states.tick_quality.apply(mbo_frame([(T0, "A", "B", 0, 1, 1, 128)]))
    again = unpack_states(pack_states(states.copy()), reference)
    clock = clock_frame({"mbo": T0 + 120 * S})
    (report,) = states.tick_quality.apply(clock)
    assert report.errors
    assert again.tick_quality.apply(clock) == [report]


def test_a_checkpoint_of_pressure_alone_still_loads() -> None:
    old = partition.pack(with_ticks().pressure.copy())
    assert unpack_states(old, Reference(SESSIONS)).ticks == 1


def test_what_a_checkpoint_does_not_hold_begins_empty() -> None:
    assert unpack_states(pack_parts({}), Reference(SESSIONS)).ticks == 0
    assert unpack_states(pack_parts({"of_another_version": b"x"}), Reference(SESSIONS)).ticks == 0


def test_a_part_that_is_damaged_is_refused() -> None:
    damaged = bytearray(pack_states(with_ticks().copy()))
    damaged[-1] ^= 1
    with pytest.raises(BadData, match="damaged"):
        unpack_states(bytes(damaged), Reference(SESSIONS))


def test_a_copy_does_not_change_with_its_state() -> None:
    states = with_ticks()
    before = pack_states(copy := states.copy())
    states.pressure.apply(SECOND)
    assert pack_states(copy) == before
