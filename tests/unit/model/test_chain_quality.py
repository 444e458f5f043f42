"""What the rules say of a chain: what a message of it may hold, and what its verdict adds up."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from tapeline.errors import BadData
from tapeline.model.chain_quality import (
    MOST_EVIDENCE,
    ChainQuality,
    Evidence,
    Finding,
    decode_chain_quality,
    encode_chain_quality,
    verdict_of,
)
from tapeline.model.chains import Verdict
from tapeline.model.quality import MOST_NAMED

GOLDEN: Final[dict[str, Any]] = orjson.loads(
    (Path(__file__).parents[3] / "schemas" / "golden" / "quality.v1.chain_check.json").read_bytes()
)
EVENT: Final = decode_chain_quality(orjson.dumps(GOLDEN))


def finding(**changes: object) -> Finding:
    return replace(EVENT.findings[1], **changes)  # type: ignore[arg-type]


def test_the_verdict_counts_findings_by_severity_and_contracts_by_rule() -> None:
    found = (
        finding(rule="30_completeness", severity="error", count=3),
        finding(rule="30_completeness", severity="error", count=4),
        finding(rule="30_completeness", severity="info", count=90),
        finding(rule="33_bounds", severity="warning", count=1),
    )
    assert verdict_of(found) == Verdict(2, 1, {"30_completeness": 7, "33_bounds": 1})
    assert verdict_of(()) == Verdict(0, 0, {})


def test_the_verdict_of_the_golden_file_is_that_of_its_findings() -> None:
    assert verdict_of(EVENT.findings) == EVENT.verdict


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (("rule",), "vertical"),
        (("severity",), "grave"),
        (("count",), -1),
        (("count",), True),
        (("detail",), ""),
        (("contracts",), ["A"] * (MOST_NAMED + 1)),
        (("contracts",), [""]),
        (("contracts",), [1]),
        (("evidence",), [{"contracts": [], "numbers": {}}] * (MOST_EVIDENCE + 1)),
        (("evidence", 0, "contracts"), [""]),
        (("evidence", 0, "numbers"), []),
        (("evidence", 0, "numbers", "buy"), "181.25"),
        (("evidence", 0, "numbers", "buy"), True),
        (("evidence", 0, "numbers", ""), 1),
    ],
)
def test_a_fault_within_a_finding_is_named_by_its_path(path: tuple[str | int, ...], wrong: object) -> None:
    document = copy.deepcopy(GOLDEN)
    parent: Any = document["findings"][1]
    for name in path[:-1]:
        parent = parent[name]
    parent[path[-1]] = wrong
    with pytest.raises(BadData) as raised:
        decode_chain_quality(orjson.dumps(document))
    assert raised.value.field == ".".join(map(str, ("findings", 1, *path)))


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_has_not_is_refused(number: float) -> None:
    event: ChainQuality = replace(EVENT, findings=(finding(evidence=(Evidence((), {"gain": number}),)),))
    with pytest.raises(BadData, match="finite"):
        encode_chain_quality(event)


def test_the_key_is_that_of_the_chain() -> None:
    assert EVENT.key == "NQZ6/2026-11-26T21:00:00Z"
