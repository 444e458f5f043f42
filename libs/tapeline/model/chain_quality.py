"""Quality events of type ``chain_check`` on md.quality.v1: what the rules found about one option chain."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast, get_args

from tapeline.errors import BadData
from tapeline.model.chains import MODES, Mode, Verdict
from tapeline.model.columns import INT64_MAX, INT64_MIN
from tapeline.model.documents import Document, dump, integer, mapping, mappings, nanoseconds, object_of, one_of, text
from tapeline.model.documents import texts as texts_of
from tapeline.model.quality import MOST_NAMED, SCHEMA

CHAIN_CHECK: Final = "chain_check"

Severity = Literal["error", "warning", "info"]
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)
"""`error`: the chain must not be traded on; `warning`: the named contracts must not; `info`: a measure, no fault."""

MOST_EVIDENCE: Final = 5
"""Most cases whose numbers one finding tells: the gravest."""

_RULE: Final = re.compile(r"[0-9]{2}_[a-z_]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The numbers of one case, enough to work it out again, and the canonical symbols of the contracts in it.

    Names say the unit; what has none is in points.
    """

    contracts: tuple[str, ...]
    numbers: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule found: `count` contracts, of which `contracts` names the first, and `evidence` of the gravest."""

    rule: str
    severity: Severity
    count: int
    detail: str
    contracts: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class ChainQuality:
    """What the quality rules said of a chain at `at`, ns since the epoch, as all times.

    `chain` is the chain's key, `as_of` tells which of its states. `not_checked` names the rules that could not be
    applied, in whole or in part, and why: nothing is known of them.
    """

    chain: str
    source: str
    vendor: str
    mode: Mode
    as_of: int
    at: int
    verdict: Verdict
    findings: tuple[Finding, ...]
    not_checked: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The message's key."""
        return self.chain


def verdict_of(findings: Iterable[Finding]) -> Verdict:
    """Return how many findings are errors and warnings, and how many contracts each of their rules concerns."""
    grave = [finding for finding in findings if finding.severity != "info"]
    rules: dict[str, int] = {}
    for finding in grave:
        rules[finding.rule] = rules.get(finding.rule, 0) + finding.count
    errors = sum(finding.severity == "error" for finding in grave)
    return Verdict(errors, len(grave) - errors, rules)


def encode_chain_quality(event: ChainQuality) -> bytes:
    """Return the event as JSON bytes. Raises BadData where it breaks a rule of the schema."""
    _check(event)
    verdict = event.verdict
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "type": CHAIN_CHECK,
        "source": event.source,
        "vendor": event.vendor,
        "mode": event.mode,
        "chain": event.chain,
        "as_of": str(event.as_of),
        "at": str(event.at),
        "verdict": {"errors": verdict.errors, "warnings": verdict.warnings, "rules": dict(verdict.rules)},
        "findings": [
            {
                "rule": finding.rule,
                "severity": finding.severity,
                "count": finding.count,
                "detail": finding.detail,
                "contracts": finding.contracts,
                "evidence": [{"contracts": case.contracts, "numbers": dict(case.numbers)} for case in finding.evidence],
            }
            for finding in event.findings
        ],
        "not_checked": dict(event.not_checked),
    }
    return dump(document)


def decode_chain_quality(value: bytes) -> ChainQuality:
    """Return the event in `value`. Raises BadData that names the field and the rule it breaks."""
    document = object_of(value, SCHEMA)
    one_of(document, "type", (CHAIN_CHECK,))
    not_checked = mapping(document, "not_checked")
    verdict = mapping(document, "verdict")
    rules = mapping(verdict, "rules", "verdict.rules")
    event = ChainQuality(
        source=text(document, "source"),
        vendor=text(document, "vendor"),
        mode=cast(Mode, one_of(document, "mode", MODES)),
        chain=text(document, "chain"),
        as_of=nanoseconds(document, "as_of"),
        at=nanoseconds(document, "at"),
        verdict=Verdict(
            errors=_count(verdict, "errors", "verdict.errors"),
            warnings=_count(verdict, "warnings", "verdict.warnings"),
            rules={rule: _count(rules, rule, f"verdict.rules.{rule}") for rule in rules},
        ),
        findings=tuple(
            _finding(each, f"findings.{index}") for index, each in enumerate(mappings(document, "findings"))
        ),
        not_checked={rule: text(not_checked, rule, f"not_checked.{rule}") for rule in not_checked},
    )
    _check(event)
    return event


def _finding(document: Document, path: str) -> Finding:
    return Finding(
        rule=text(document, "rule", f"{path}.rule"),
        severity=cast(Severity, one_of(document, "severity", SEVERITIES, f"{path}.severity")),
        count=_count(document, "count", f"{path}.count"),
        detail=text(document, "detail", f"{path}.detail"),
        contracts=texts_of(document, "contracts", f"{path}.contracts"),
        evidence=tuple(
            _evidence(each, f"{path}.evidence.{index}")
            for index, each in enumerate(mappings(document, "evidence", f"{path}.evidence"))
        ),
    )


def _evidence(document: Document, path: str) -> Evidence:
    numbers = mapping(document, "numbers", f"{path}.numbers")
    for name, number in numbers.items():
        if not isinstance(number, int | float) or isinstance(number, bool):
            raise BadData(f"{path}.numbers.{name}", "must be a number")
    return Evidence(
        contracts=texts_of(document, "contracts", f"{path}.contracts"),
        numbers={name: float(number) for name, number in numbers.items()},
    )


def _count(document: Document, name: str, path: str) -> int:
    return integer(document, name, 0, INT64_MAX, path)


def _check(event: ChainQuality) -> None:
    for name in ("source", "vendor", "chain"):
        if not getattr(event, name):
            raise BadData(name, "must not be empty")
    if event.mode not in MODES:
        raise BadData("mode", f"must be one of {', '.join(MODES)}")
    for name in ("as_of", "at"):
        if not INT64_MIN <= getattr(event, name) <= INT64_MAX:
            raise BadData(name, "must fit 64 bits")
    counts = {"errors": event.verdict.errors, "warnings": event.verdict.warnings}
    counts |= {f"rules.{rule}": count for rule, count in event.verdict.rules.items()}
    for name, count in counts.items():
        _check_count(count, f"verdict.{name}")
    for rule in event.verdict.rules:
        _check_rule(rule, f"verdict.rules.{rule}")
    for index, finding in enumerate(event.findings):
        _check_finding(finding, f"findings.{index}")
    for rule, reason in event.not_checked.items():
        _check_rule(rule, f"not_checked.{rule}")
        if not reason:
            raise BadData(f"not_checked.{rule}", "must say why")


def _check_finding(finding: Finding, path: str) -> None:
    _check_rule(finding.rule, f"{path}.rule")
    if finding.severity not in SEVERITIES:
        raise BadData(f"{path}.severity", f"must be one of {', '.join(SEVERITIES)}")
    _check_count(finding.count, f"{path}.count")
    if not finding.detail:
        raise BadData(f"{path}.detail", "must not be empty")
    _check_names(finding.contracts, f"{path}.contracts")
    if len(finding.evidence) > MOST_EVIDENCE:
        raise BadData(f"{path}.evidence", f"must be of at most {MOST_EVIDENCE} cases")
    for index, case in enumerate(finding.evidence):
        _check_names(case.contracts, f"{path}.evidence.{index}.contracts")
        for name, number in case.numbers.items():
            if not name or not math.isfinite(number):
                raise BadData(f"{path}.evidence.{index}.numbers.{name}", "must be a finite number with a name")


def _check_names(names: tuple[str, ...], path: str) -> None:
    if len(names) > MOST_NAMED or not all(names):
        raise BadData(path, f"must be at most {MOST_NAMED} symbols, none of them empty")


def _check_count(count: int, path: str) -> None:
    if not 0 <= count <= INT64_MAX:
        raise BadData(path, f"must be within [0, {INT64_MAX}]")


def _check_rule(rule: str, path: str) -> None:
    if not _RULE.fullmatch(rule):
        raise BadData(path, f"must name a rule by number and name, such as 34_vertical, is {rule!r}")
