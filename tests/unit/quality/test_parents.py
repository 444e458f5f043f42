"""Which parents options on NQ have, against those subscribed to."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.quality.test_completeness import CALL

from tapeline.quality.parents import ParentCheck, check_option_parents, is_option_on, option_parents

WEEKLY = CALL
QUARTERLY = replace(CALL, asset="NQ", parent="NQ.OPT", instrument_class="P", style="american")
SPREAD = replace(CALL, asset="QN1", parent="QN1.OPT", instrument_class="T", user_defined=True)
USER_DEFINED = replace(CALL, asset="QN2", parent="QN2.OPT", user_defined=True)
MICRO = replace(CALL, asset="MNQ", parent="MNQ.OPT", underlying="MNQZ6")
FUTURE = replace(CALL, asset="NQ", parent="NQ.FUT", instrument_class="F", underlying=None)
ALL = (WEEKLY, QUARTERLY, SPREAD, USER_DEFINED, MICRO, FUTURE)


def test_options_on_nq_are_its_calls_and_puts_whatever_their_own_product() -> None:
    assert [is_option_on(each, "NQ") for each in ALL] == [True, True, False, False, False, False]
    assert [is_option_on(each, "MNQ") for each in ALL] == [False, False, False, False, True, False]


def test_the_parents_are_those_of_the_definitions() -> None:
    assert option_parents(ALL, "NQ") == {"Q4B.OPT", "NQ.OPT"}
    assert option_parents((replace(WEEKLY, update_action="D"), QUARTERLY), "NQ") == {"NQ.OPT"}


def test_what_is_missing_and_what_is_superfluous_is_said() -> None:
    assert check_option_parents(["NQ.FUT", "NQ.OPT", "Q4B.OPT"], ALL) == ParentCheck((), ())
    assert check_option_parents(["NQ.FUT", "Q5A.OPT", "NQ.OPT"], ALL) == ParentCheck(("Q4B.OPT",), ("Q5A.OPT",))
    gone = (replace(WEEKLY, update_action="D"), QUARTERLY)
    assert check_option_parents(["NQ.OPT", "Q4B.OPT"], gone) == ParentCheck((), ("Q4B.OPT",))


def test_only_options_on_what_is_subscribed_to_are_looked_for() -> None:
    assert check_option_parents(["NQ.FUT"], ALL) == ParentCheck((), ())
    assert check_option_parents(["NQ.FUT", "MNQ.OPT"], ALL) == ParentCheck((), ())
    equity = replace(CALL, parent="AAPL.OPT", underlying="AAPL")
    assert check_option_parents(["AAPL.OPT"], [equity]) == ParentCheck((), ())
