"""Findings as documents and as a last line."""

from __future__ import annotations

import pytest

from tapeline.errors import Bug
from tapeline.feed.doctor import Check, document, is_good, skipped, verdict

FINE = Check("key", "ok", "there is one")
ODD = Check("clock", "warning", "200 ms ahead", "set it")
BAD = Check("kafka", "red", "nothing listens", "start it")


def test_the_document_holds_every_check_in_order_and_null_where_there_is_no_remedy() -> None:
    assert document("databento", [FINE, BAD]) == {
        "source": "databento",
        "ok": False,
        "checks": [
            {"name": "key", "status": "ok", "detail": "there is one", "remedy": None},
            {"name": "kafka", "status": "red", "detail": "nothing listens", "remedy": "start it"},
        ],
    }


@pytest.mark.parametrize(
    ("checks", "good", "last_line"),
    [
        ([FINE], True, "x: all is well"),
        ([FINE, *skipped(["range"], "no key")], True, "x: all is well"),
        ([FINE, ODD], True, "x: 1 warning (clock)"),
        ([ODD, BAD, FINE], False, "x: 1 red (kafka); 1 warning (clock)"),
        ([BAD, Check("key", "red", "none", "get one")], False, "x: 2 red (kafka, key)"),
    ],
)
def test_only_red_is_bad(checks: list[Check], good: bool, last_line: str) -> None:
    assert is_good(checks) is good
    assert document("x", checks)["ok"] is good
    assert verdict("x", checks) == last_line


@pytest.mark.parametrize("remedy", [None, ""])
def test_red_without_a_remedy_is_a_bug(remedy: str | None) -> None:
    with pytest.raises(Bug, match="kafka"):
        Check("kafka", "red", "nothing listens", remedy)


def test_what_is_skipped_says_why() -> None:
    assert skipped(["a", "b"], "no key") == [Check("a", "skipped", "no key"), Check("b", "skipped", "no key")]
