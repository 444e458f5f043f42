"""Of errors that come together the one is told that says what to do."""

from __future__ import annotations

from tapeline.errors import Fenced, Misconfigured, cause_of


def test_errors_raised_on_purpose_are_told_by_the_first_however_deep() -> None:
    first, second = Misconfigured("no such setting"), Fenced("taken over")
    assert cause_of(ExceptionGroup("", [ExceptionGroup("", [first]), second])) is first


def test_what_nobody_foresaw_is_told_with_all_that_came_with_it() -> None:
    failed = ExceptionGroup("", [Misconfigured("no such setting"), ExceptionGroup("", [KeyError("price")])])
    assert cause_of(failed) is failed
