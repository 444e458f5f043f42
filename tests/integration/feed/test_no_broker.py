"""What services say where no broker is, before they have waited for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("module", ["tapeline_databento", "tapeline_processor"])
def test_a_service_says_at_once_that_it_waits_for_kafka(module: str, tmp_path: Path) -> None:
    environment = os.environ | {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9", "TAPELINE_STATE_DIR": str(tmp_path)}
    environment |= {"TAPELINE_DATABENTO_API_KEY": "db-0", "TAPELINE_DATABENTO_GATEWAY": "127.0.0.1"}
    environment |= {"TAPELINE_DATABENTO_PORT": "9", "TAPELINE_DATABENTO_HEALTH_PORT": "0"}
    with subprocess.Popen(
        [sys.executable, "-m", module], env=environment, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as process:
        try:
            assert process.stderr is not None
            told = [line for _, line in zip(range(2), process.stderr, strict=False) if "Kafka is away" in line]
        finally:
            process.kill()
    assert len(told) == 1
    assert "no Kafka broker answers at 127.0.0.1:9; start it with `tapeline kafka up`" in told[0]
