"""Quality events of type ``tick_quality`` on md.quality.v1: what the rules found in the ticks of a stream and kind."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from tapeline.errors import BadData
from tapeline.model.chain_quality import SEVERITIES, Severity
from tapeline.model.columns import INT64_MAX, INT64_MIN
from tapeline.model.documents import Document, dump, integer, mapping, mappings, nanoseconds, object_of, one_of, text
from tapeline.model.quality import MOST_NAMED, SCHEMA

TICK_QUALITY: Final = "tick_quality"
EVERY_SYMBOL: Final = "*"
CHECKED_KINDS: Final = ("mbo", "l1")

_RULE: Final = re.compile(r"[0-9]{2}_[a-z_]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class TickFinding:
    """What one rule found of one symbol, or of the whole stream (``*``): `count` times, first at `first_at`.

    `numbers` say how bad it was at the worst; their names say the unit, and what has none is in points.
    """

    rule: str
    severity: Severity
    symbol: str
    count: int
    first_at: int
    detail: str
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TickReport:
    """What was found within [since, at) of the tape's own time, ns since the epoch, in `ticks` ticks.

    `errors` and `warnings` count all findings, `findings` names at most MOST_NAMED of each rule. `not_checked` names
    the rules that could not be applied, and why: nothing is known of them.
    """

    source: str
    stream: str
    kind: str
    since: int
    at: int
    ticks: int
    errors: int
    warnings: int
    findings: tuple[TickFinding, ...]
    not_checked: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The message's key."""
        return self.stream


def encode_tick_report(report: TickReport) -> bytes:
    """Return the report as JSON bytes. Raises BadData where it breaks a rule of the schema."""
    _check(report)
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "type": TICK_QUALITY,
        "source": report.source,
        "stream": report.stream,
        "kind": report.kind,
        "since": str(report.since),
        "at": str(report.at),
        "ticks": report.ticks,
        "errors": report.errors,
        "warnings": report.warnings,
        "findings": [
            {
                "rule": finding.rule,
                "severity": finding.severity,
                "symbol": finding.symbol,
                "count": finding.count,
                "first_at": str(finding.first_at),
                "detail": finding.detail,
                "numbers": dict(finding.numbers),
            }
            for finding in report.findings
        ],
        "not_checked": dict(report.not_checked),
    }
    return dump(document)


def decode_tick_report(value: bytes) -> TickReport:
    """Return the report in `value`. Raises BadData that names the field and the rule it breaks."""
    document = object_of(value, SCHEMA)
    one_of(document, "type", (TICK_QUALITY,))
    not_checked = mapping(document, "not_checked")
    report = TickReport(
        source=text(document, "source"),
        stream=text(document, "stream"),
        kind=one_of(document, "kind", CHECKED_KINDS),
        since=nanoseconds(document, "since"),
        at=nanoseconds(document, "at"),
        **{name: integer(document, name, 0, INT64_MAX) for name in ("ticks", "errors", "warnings")},
        findings=tuple(
            _finding(each, f"findings.{index}") for index, each in enumerate(mappings(document, "findings"))
        ),
        not_checked={rule: text(not_checked, rule, f"not_checked.{rule}") for rule in not_checked},
    )
    _check(report)
    return report


def _finding(document: Document, path: str) -> TickFinding:
    numbers = mapping(document, "numbers", f"{path}.numbers")
    for name, number in numbers.items():
        if not isinstance(number, int | float) or isinstance(number, bool):
            raise BadData(f"{path}.numbers.{name}", "must be a number")
    return TickFinding(
        rule=text(document, "rule", f"{path}.rule"),
        severity=cast(Severity, one_of(document, "severity", SEVERITIES, f"{path}.severity")),
        symbol=text(document, "symbol", f"{path}.symbol"),
        count=integer(document, "count", 0, INT64_MAX, f"{path}.count"),
        first_at=nanoseconds(document, "first_at", f"{path}.first_at"),
        detail=text(document, "detail", f"{path}.detail"),
        numbers={name: float(number) for name, number in numbers.items()},
    )


def _check(report: TickReport) -> None:
    for name in ("source", "stream"):
        if not getattr(report, name):
            raise BadData(name, "must not be empty")
    if report.kind not in CHECKED_KINDS:
        raise BadData("kind", f"must be one of {', '.join(CHECKED_KINDS)}")
    if not INT64_MIN <= report.since <= report.at <= INT64_MAX:
        raise BadData("since", "must fit 64 bits and not be past at, which must fit them too")
    for name in ("ticks", "errors", "warnings"):
        if not 0 <= getattr(report, name) <= INT64_MAX:
            raise BadData(name, f"must be within [0, {INT64_MAX}]")
    told: dict[str, int] = {}
    for index, finding in enumerate(report.findings):
        _check_finding(finding, f"findings.{index}")
        told[finding.rule] = told.get(finding.rule, 0) + 1
        if told[finding.rule] > MOST_NAMED:
            raise BadData("findings", f"must be at most {MOST_NAMED} of each rule")
    for rule, reason in report.not_checked.items():
        _check_rule(rule, f"not_checked.{rule}")
        if not reason:
            raise BadData(f"not_checked.{rule}", "must say why")


def _check_finding(finding: TickFinding, path: str) -> None:
    _check_rule(finding.rule, f"{path}.rule")
    if finding.severity not in SEVERITIES:
        raise BadData(f"{path}.severity", f"must be one of {', '.join(SEVERITIES)}")
    for name in ("symbol", "detail"):
        if not getattr(finding, name):
            raise BadData(f"{path}.{name}", "must not be empty")
    if not 0 < finding.count <= INT64_MAX:
        raise BadData(f"{path}.count", f"must be within [1, {INT64_MAX}]")
    if not INT64_MIN <= finding.first_at <= INT64_MAX:
        raise BadData(f"{path}.first_at", "must fit 64 bits")
    for name, number in finding.numbers.items():
        if not name or not math.isfinite(number):
            raise BadData(f"{path}.numbers.{name}", "must be a finite number with a name")


def _check_rule(rule: str, path: str) -> None:
    if not _RULE.fullmatch(rule):
        raise BadData(path, f"must name a rule by number and name, such as 06_stale, is {rule!r}")
