"""One Kafka version for the whole project, and two ways to run it that agree."""

from __future__ import annotations

import re
import subprocess

import yaml

from tapeline.ops.resources import REPOSITORY_ROOT
from tapeline_cli.java import kafka_version
from tapeline_cli.local_broker import PROPERTIES

COMPOSE = yaml.safe_load((REPOSITORY_ROOT / "docker-compose.yml").read_text())["services"]["kafka"]

# what the two must differ in: where they listen and where they keep their data
PLACES = {
    "advertised.listeners",
    "controller.quorum.voters",
    "inter.broker.listener.name",
    "listener.security.protocol.map",
    "listeners",
    "log.dirs",
}


def test_the_kafka_version_is_named_in_one_place() -> None:
    named = subprocess.run(
        ["git", "grep", "-lIF", kafka_version(), "--", ".", ":!*requirements.lock"],
        cwd=REPOSITORY_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert named.stdout.split() == ["deploy/kafka/pom.xml", "docker-compose.yml"]


def test_compose_follows_it() -> None:
    assert COMPOSE["image"] == f"apache/kafka:{kafka_version()}"


def test_both_brokers_have_the_same_settings() -> None:
    local = dict(line.split("=", 1) for line in PROPERTIES.splitlines())
    image = {
        name.removeprefix("KAFKA_").replace("_", ".").lower(): value
        for name, value in COMPOSE["environment"].items()
        if name.startswith("KAFKA_") and name != "KAFKA_HEAP_OPTS"
    }
    assert {k: v for k, v in local.items() if k not in PLACES} == {k: v for k, v in image.items() if k not in PLACES}


def test_compose_is_reachable_from_this_machine_only() -> None:
    assert COMPOSE["ports"] == ["127.0.0.1:${TAPELINE_KAFKA_PORT:-9092}:9092"]
    advertised = COMPOSE["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert re.match(r"HOST://127\.0\.0\.1:\$\{TAPELINE_KAFKA_PORT:-9092\},", advertised)


def test_compose_keeps_its_data_in_a_volume() -> None:
    assert COMPOSE["environment"]["KAFKA_LOG_DIRS"] in [volume.partition(":")[2] for volume in COMPOSE["volumes"]]
