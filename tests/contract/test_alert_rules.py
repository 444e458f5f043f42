"""The alert rules that ship: promtool accepts and tries each of them, and they ask only for metrics that there are."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase
from tests.conftest import REPOSITORY, lacking

from tapeline.ops import metrics
from tapeline.ops.metrics import Sampled

FOLDER: Final = REPOSITORY / "deploy" / "prometheus"
RULES: Final = FOLDER / "tapeline.rules.yml"
TESTS: Final = sorted(FOLDER.glob("*.test.yml"))
# What Prometheus itself adds to every series, or has of its own.
ADDED: Final = {"job", "instance"}
OWN: Final = {"up": set[str]()}
SUFFIXES: Final = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
SERIES: Final = re.compile(r"\b((?:tapeline|kafka|burrow)_[a-z0-9_]+|up)\b(?:\{([^}]*)\})?")


@pytest.fixture(scope="module")
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        lacking("prometheus", "no promtool; sh deploy/install-system-packages.sh prometheus")
    return str(found)


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def known() -> dict[str, set[str]]:
    """Return the labels of every series that Tapeline gives, by its name."""
    series = dict(OWN)
    for metric in vars(metrics).values():
        if isinstance(metric, Sampled):
            series[metric.name] = set(metric.labels)
        elif isinstance(metric, MetricWrapperBase):
            [family] = metric.describe()
            for suffix in SUFFIXES[family.type]:
                series[family.name + suffix] = {*metric._labelnames, *({"le"} if suffix == "_bucket" else ())}
    return series


@pytest.mark.parametrize(
    ("command", "file"),
    [("check", RULES), *(("test", tests) for tests in TESTS)],
    ids=lambda each: getattr(each, "name", each),
)
def test_promtool_finds_nothing_wrong(promtool: str, command: str, file: Path) -> None:
    done = subprocess.run([promtool, command, "rules", str(file)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_raised_and_not_raised_in_a_test() -> None:
    tried: dict[str, set[bool]] = {}
    for tests in TESTS:
        for test in yaml.safe_load(tests.read_text())["tests"]:
            for case in test["alert_rule_test"]:
                tried.setdefault(case["alertname"], set()).add(bool(case["exp_alerts"]))
    names = [alert["alert"] for alert in alerts()]
    assert len(set(names)) == len(names)
    assert set(tried) == set(names)
    assert [name for name, seen in tried.items() if True not in seen] == []


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_an_alert_asks_for_metrics_that_there_are_and_says_what_to_do(alert: dict[str, Any]) -> None:
    series = known()
    asked = SERIES.findall(alert["expr"])
    assert asked
    for name, matchers in asked:
        assert name in series, f"{name} is no metric of libs/tapeline/ops/metrics.py"
        labels = set(re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)", matchers))
        assert labels <= series[name] | ADDED, name
    for labels in re.findall(r"\b(?:by|on) \(([^)]*)\)", alert["expr"]):
        of_metrics = set().union(*(series[name] for name, _ in asked))
        assert set(re.findall(r"[a-z_]+", labels)) <= of_metrics | ADDED
    assert alert["labels"]["severity"] in ("warning", "critical")
    assert set(alert["annotations"]) == {"summary", "description"}
