"""A tick report that breaks a rule of the schema is neither written nor read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from tapeline.errors import BadData
from tapeline.model.quality import MOST_NAMED
from tapeline.model.tick_quality import TickFinding, TickReport, decode_tick_report, encode_tick_report

FINDING = TickFinding("06_stale", "error", "NQZ6", 1, 5, "silent", {"longest_s": 87.5})
REPORT = TickReport("databento", "GLBX.MDP3/NQ.FUT", "mbo", 0, 60, 10, 1, 0, (FINDING,), {"17_definition": "none"})


def test_a_report_comes_back() -> None:
    assert decode_tick_report(encode_tick_report(REPORT)) == REPORT
    assert REPORT.key == "GLBX.MDP3/NQ.FUT"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"source": ""}, "source"),
        ({"stream": ""}, "stream"),
        ({"kind": "trade"}, "kind"),
        ({"since": 61}, "since"),
        ({"at": 2**63}, "since"),
        ({"ticks": -1}, "ticks"),
        ({"not_checked": {"17": "none"}}, "not_checked.17"),
        ({"not_checked": {"17_definition": ""}}, "not_checked.17_definition"),
        ({"findings": (FINDING,) * (MOST_NAMED + 1)}, "findings"),
    ],
)
def test_a_broken_report_is_not_written(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(BadData) as caught:
        encode_tick_report(replace(REPORT, **changes))
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rule", "stale"),
        ("severity", "fatal"),
        ("symbol", ""),
        ("detail", ""),
        ("count", 0),
        ("first_at", "soon"),
        ("numbers.longest_s", "long"),
    ],
)
def test_a_broken_finding_is_not_read(name: str, value: Any) -> None:
    document = orjson.loads(encode_tick_report(REPORT))
    place = document["findings"][0]
    *path, last = name.split(".")
    for step in path:
        place = place[step]
    place[last] = value
    with pytest.raises(BadData) as caught:
        decode_tick_report(orjson.dumps(document))
    assert caught.value.field == f"findings.0.{name}"


def test_another_type_is_not_read() -> None:
    with pytest.raises(BadData, match="type"):
        decode_tick_report(b'{"schema":"quality.v1","type":"chain_check"}')
