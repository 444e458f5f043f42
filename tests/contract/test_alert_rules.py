"""The alert rules that ship: promtool accepts and tries each of them, and they ask only for what there is to scrape."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase
from tests.conftest import REPOSITORY, lacking

from tapeline.ops import metrics
from tapeline.ops.metrics import Sampled
from tapeline.ops.settings import ServiceSettings

FOLDER: Final = REPOSITORY / "deploy" / "prometheus"
RULES: Final = FOLDER / "tapeline.rules.yml"
EXAMPLE: Final = FOLDER / "prometheus.yml"
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


def scraped() -> dict[str, list[str]]:
    """Return the targets of each job of the example."""
    jobs = yaml.safe_load(EXAMPLE.read_text())["scrape_configs"]
    return {job["job_name"]: [each for found in job["static_configs"] for each in found["targets"]] for job in jobs}


def services() -> dict[str, int]:
    """Return the port at which each service answers if it is not told another, by its program's name."""
    found = {}
    for program in entry_points(group="console_scripts"):
        package, _, _ = program.module.partition(".")
        if program.name.startswith("tapeline-") and package.startswith("tapeline_"):
            module = importlib.import_module(f"{package}.settings")
            [settings] = [
                each
                for each in vars(module).values()
                if isinstance(each, type) and issubclass(each, ServiceSettings) and each.__module__ == module.__name__
            ]
            found[program.name] = settings.model_fields["health_port"].default
    return found


def test_promtool_accepts_the_example_of_a_configuration(promtool: str) -> None:
    done = subprocess.run([promtool, "check", "config", str(EXAMPLE)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert yaml.safe_load(EXAMPLE.read_text())["rule_files"] == [RULES.name]


def test_the_example_has_every_service_at_its_port_as_a_job_of_its_own() -> None:
    assert scraped() == {name: [f"127.0.0.1:{port}"] for name, port in services().items()}


def test_the_jobs_that_rules_ask_for_are_those_of_the_example() -> None:
    asked = {found for alert in alerts() for found in re.findall(r'\bjob(=~?)"([^"]*)"', alert["expr"])}
    assert asked
    for operator, name in asked:
        matching = [job for job in scraped() if re.fullmatch(name if operator == "=~" else re.escape(name), job)]
        assert matching == (list(scraped()) if operator == "=~" else [name])


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
