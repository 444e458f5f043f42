"""Processes that are run as one: ended in reverse order, and none left behind, whatever happens."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tapeline_cli.supervisor import Supervisor, failure

DEADLINE_S = 20.0

# Says that it is there, then notes in a file when it was asked to end.
OBEDIENT = """
import pathlib, signal, sys, time
def end(*_):
    with open(sys.argv[1], "a") as file:
        file.write(sys.argv[2] + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
pathlib.Path(sys.argv[1] + "." + sys.argv[2]).touch()
time.sleep(60)
"""
STUBBORN = """
import pathlib, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
pathlib.Path(sys.argv[1]).write_text(str(child.pid))
time.sleep(60)
"""
SUPERVISING = """
import asyncio, pathlib, sys
from tapeline_cli.supervisor import Supervisor
async def main():
    async with Supervisor(pathlib.Path(sys.argv[1])) as supervisor:
        pids = [
            (await supervisor.start(name, [sys.executable, "-c", "import time; time.sleep(60)"], {})).process.pid
            for name in ("one", "two")
        ]
        print(*pids, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "the condition never held"
        await asyncio.sleep(0.01)


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


async def test_the_last_started_ends_first(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    async with Supervisor(tmp_path / "logs") as supervisor:
        for name in ("one", "two", "three"):
            await supervisor.start(name, [sys.executable, "-c", OBEDIENT, str(notes), name], {})
        await until(lambda: len(list(tmp_path.glob("notes.*"))) == 3)
    assert notes.read_text().split() == ["three", "two", "one"]


async def test_what_does_not_end_is_killed_with_what_it_started(tmp_path: Path) -> None:
    started = tmp_path / "pid"
    async with Supervisor(tmp_path / "logs", stop_timeout_s=0.2) as supervisor:
        stubborn = await supervisor.start("stubborn", [sys.executable, "-c", STUBBORN, str(started)], {})
        await until(lambda: started.exists() and started.read_text())
        began_s = time.monotonic()
    assert 0.2 <= time.monotonic() - began_s < 5.0
    assert stubborn.process.returncode == -signal.SIGKILL
    await until(lambda: gone(int(started.read_text())))


async def test_an_error_inside_the_block_leaves_nothing_behind(tmp_path: Path) -> None:
    pids: list[int] = []

    async def fail() -> None:
        async with Supervisor(tmp_path / "logs") as supervisor:
            child = await supervisor.start("one", [sys.executable, "-c", "import time; time.sleep(60)"], {})
            pids.append(child.process.pid)
            raise RuntimeError("outside")

    with pytest.raises(RuntimeError, match="outside"):
        await fail()
    assert gone(*pids)


def test_the_kernel_ends_the_processes_of_a_killed_supervisor(tmp_path: Path) -> None:
    supervising = subprocess.Popen(
        [sys.executable, "-c", SUPERVISING, str(tmp_path / "logs")], stdout=subprocess.PIPE, text=True
    )
    assert supervising.stdout is not None
    pids = [int(pid) for pid in supervising.stdout.readline().split()]
    assert len(pids) == 2
    assert not any(gone(pid) for pid in pids)
    supervising.kill()
    supervising.communicate(timeout=DEADLINE_S)
    asyncio.run(until(lambda: all(gone(pid) for pid in pids)))


async def test_ctrl_c_reaches_only_the_supervisor(tmp_path: Path) -> None:
    async with Supervisor(tmp_path / "logs") as supervisor:
        child = await supervisor.start("one", [sys.executable, "-c", "import time; time.sleep(60)"], {})
        assert os.getpgid(child.process.pid) != os.getpgid(0)


async def test_the_first_end_is_told_with_the_last_words_of_the_log(tmp_path: Path) -> None:
    async with Supervisor(tmp_path / "logs") as supervisor:
        await supervisor.start("lasting", [sys.executable, "-c", "import time; time.sleep(60)"], {})
        words = "import os, sys; sys.stderr.write(os.environ['WORDS']); sys.exit(3)"
        await supervisor.start("brief", [sys.executable, "-c", words], {"WORDS": "first\nsecond\nthe disk is full"})
        async with asyncio.timeout(DEADLINE_S):
            ended = await supervisor.first_end()
    assert ended.name == "brief"
    told = str(failure(ended))
    assert "brief ended with 3" in told
    assert "the disk is full" in told


async def test_output_goes_to_the_log_unless_it_is_given_a_place(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    async with Supervisor(tmp_path / "logs") as supervisor:
        piped = await supervisor.start("piped", [sys.executable, "-c", "print('to the pipe')"], {}, stdout=writing)
        os.close(writing)
        logged = await supervisor.start("logged", [sys.executable, "-c", "print('to the log')"], {})
        for child in (piped, logged):
            async with asyncio.timeout(DEADLINE_S):
                await child.process.wait()
    with os.fdopen(reading) as pipe:
        assert pipe.read() == "to the pipe\n"
    assert logged.log.read_text() == "to the log\n"
    assert piped.log.read_text() == ""
