"""Where the broker is looked for, and what names get from a namespace."""

from __future__ import annotations

from pathlib import Path

import pytest

from tapeline.bus.bootstrap import bootstrap_servers, namespaced
from tapeline.errors import Misconfigured


def test_the_environment_comes_before_the_local_broker_before_the_default(tmp_path: Path) -> None:
    environment = {"TAPELINE_STATE_DIR": str(tmp_path)}
    assert bootstrap_servers(environment) == "127.0.0.1:9092"
    (tmp_path / "kafka.json").write_text('{"bootstrap_servers": "127.0.0.1:40123", "pid": 1}')
    assert bootstrap_servers(environment) == "127.0.0.1:40123"
    assert bootstrap_servers(environment | {"KAFKA_BOOTSTRAP_SERVERS": "kafka:19092"}) == "kafka:19092"


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"bootstrap_servers": ""}'])
def test_a_damaged_state_file_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "kafka.json").write_text(content)
    with pytest.raises(Misconfigured, match="tapeline kafka up"):
        bootstrap_servers({"TAPELINE_STATE_DIR": str(tmp_path)})


def test_names_get_the_namespace() -> None:
    assert namespaced("md.pressure.v1", {}) == "md.pressure.v1"
    assert namespaced("md.pressure.v1", {"TAPELINE_NAMESPACE": ""}) == "md.pressure.v1"
    assert namespaced("md.pressure.v1", {"TAPELINE_NAMESPACE": "staging"}) == "staging.md.pressure.v1"
    for wrong in ("Staging", "a b", ".a", "a_b", "x" * 65):
        with pytest.raises(Misconfigured, match="TAPELINE_NAMESPACE"):
            namespaced("md.pressure.v1", {"TAPELINE_NAMESPACE": wrong})
