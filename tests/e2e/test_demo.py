"""The demonstration as a user runs it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest

END = re.compile(
    r"demo: ([\d,]+) ticks, ([\d,]+) rows, from tick to row p50 ([\d.]+) ms, p99 ([\d.]+) ms\n(?!demo: \d)"
)


@pytest.fixture
def environment(bootstrap_servers: str, namespace: str, tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers,
        "TAPELINE_NAMESPACE": namespace,
        "TAPELINE_STATE_DIR": str(tmp_path),
    }


def start(environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tapeline_cli", "demo", *arguments]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def processes_of(environment: dict[str, str]) -> list[psutil.Process]:
    """Return the processes that carry the test's namespace, but this one."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TAPELINE_NAMESPACE") == environment["TAPELINE_NAMESPACE"]:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return [process for process in found if process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE]


def wait_until_none(environment: dict[str, str], deadline_s: float = 10.0) -> list[psutil.Process]:
    end = time.monotonic() + deadline_s
    while (left := processes_of(environment)) and time.monotonic() < end:
        time.sleep(0.05)
    return left


def number(text: str) -> float:
    return float(text.replace(",", ""))


def test_ends_by_itself_with_pressure_from_the_market(environment: dict[str, str]) -> None:
    environment["DEMO_SECONDS"] = "6"
    process = start(environment)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0, out
    end = END.search(out)
    assert end, out
    ticks, rows, p50, p99 = (number(text) for text in end.groups())
    assert ticks > 5_000
    # Six seconds of 100 ms, 1 s windows for two symbols, less those that did not close.
    assert rows > 20
    assert 0 < p50 <= p99
    assert wait_until_none(environment) == []


def test_a_disconnect_heals_without_a_gap(environment: dict[str, str]) -> None:
    environment |= {"DEMO_SECONDS": "16", "FAULT": "disconnect"}
    process = start(environment)
    out, _ = process.communicate(timeout=180)
    assert process.returncode == 0, out
    after = out.partition("demo: fault outage for 3 s")[2]
    assert re.search(r"demo: [\d:.]+ disconnected: session \w+: orders: ", after), out
    assert re.search(r"demo: [\d:.]+ connected: session ", after), out
    assert "gap opened" not in out
    assert "demo: 3 connections were lost and made again, no gap" in out
    assert wait_until_none(environment) == []


def test_chains_fail_over_to_the_other_vendor_and_come_back(environment: dict[str, str]) -> None:
    environment |= {"DEMO_SECONDS": "50", "FAULT": "failover"}
    process = start(environment)
    out, _ = process.communicate(timeout=240)
    assert process.returncode == 0, out
    after = out.partition("demo: fault outage for 15 s")[2]
    assert re.search(r"NQ\w+/\S+: databento/live → barchart/live: ", after), out
    back = after.partition("databento/live → barchart/live")[2]
    assert re.search(r"NQ\w+/\S+: barchart/live → databento/live: ", back), out
    assert re.search(r"databento live, [\d.]+ s old", out), out
    assert "option flow" in out
    assert "gap opened" not in out
    assert wait_until_none(environment) == []


def test_an_unknown_fault_is_a_usage_error(environment: dict[str, str]) -> None:
    process = start(environment, "--fault", "flood")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "disconnect" in out


def await_line(process: subprocess.Popen[str], text: str) -> str:
    """Return what follows `text` on its line."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if text in line:
            return line.partition(text)[2].strip()
    pytest.fail(f"ended without {text!r}: {''.join(seen)}")


def await_stream(page: str, stream: str, deadline_s: float = 30.0) -> None:
    """Wait until the watchdog has heard of a stream."""
    end = time.monotonic() + deadline_s
    heard: set[str] = set()
    while stream not in heard:
        assert time.monotonic() < end, heard
        with urlopen(f"{page}v1/feeds", timeout=30) as answer:  # noqa: S310
            heard = {feed["stream"] for feed in json.load(answer)["feeds"]}
        time.sleep(0.05)


def test_it_serves_a_page_and_ctrl_c_ends_it_and_leaves_nothing(environment: dict[str, str]) -> None:
    process = start(environment)
    page = await_line(process, "the page that shows it all: ")
    with urlopen(page, timeout=30) as answer:  # noqa: S310 (an address on loopback)
        assert b"<title>Tapeline</title>" in answer.read()
    await_stream(page, "TAPELINE.SIM/NQ.FUT")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, out
    assert " rows" in out
    assert wait_until_none(environment) == []


def test_killed_it_leaves_nothing(environment: dict[str, str]) -> None:
    process = start(environment)
    await_line(process, "the market is open")
    process.kill()
    process.communicate(timeout=60)
    assert wait_until_none(environment) == []


def test_a_part_that_ends_is_told_with_its_log(environment: dict[str, str]) -> None:
    environment["TAPELINE_PROCESSOR_SPEED"] = "fast"
    process = start(environment)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "processor ended with 2" in out
    assert "TAPELINE_PROCESSOR_SPEED" in out
    assert "Traceback" not in out
    assert wait_until_none(environment) == []


def test_no_time_is_a_usage_error(environment: dict[str, str]) -> None:
    process = start(environment, "--seconds", "0")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "above 0" in out
