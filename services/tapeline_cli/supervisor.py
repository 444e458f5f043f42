"""Runs several processes as one: started in order, stopped in reverse, none left behind."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from tapeline.errors import TapelineError

_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class ProcessFailed(TapelineError):
    """A supervised process ended although it should go on."""


@dataclass(frozen=True, slots=True)
class Child:
    """A running process and the file that its logs go to."""

    name: str
    process: Process
    log: Path


class Supervisor:
    """Start processes inside an `async with` block; its end stops them, last started first.

    Each is the leader of a session of its own, so that Ctrl-C reaches only the supervisor, and is killed by the kernel
    should the supervisor be killed. `stop_timeout_s` is how long a process may take after SIGTERM before SIGKILL.
    """

    def __init__(self, log_folder: Path, *, stop_timeout_s: float = 15.0) -> None:
        self._log_folder = log_folder
        self._stop_timeout_s = stop_timeout_s
        self._children: list[Child] = []

    async def __aenter__(self) -> Supervisor:
        await asyncio.to_thread(self._log_folder.mkdir, parents=True, exist_ok=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        for child in reversed(self._children):
            await self._stop(child)

    async def start(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        stdin: int | None = None,
        stdout: int | None = None,
    ) -> Child:
        """Start a process; its stderr, and its stdout unless given, go to ``<log_folder>/<name>.log``."""
        log = self._log_folder / f"{name}.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL if stdin is None else stdin,
                stdout=output if stdout is None else stdout,
                stderr=output,
                env={**os.environ, **environment},
                start_new_session=True,
                preexec_fn=partial(_die_with, os.getpid()),
            )
        child = Child(name, process, log)
        self._children.append(child)
        return child

    async def first_end(self) -> Child:
        """Wait until any process ends, and return it."""
        waits = {asyncio.ensure_future(child.process.wait()): child for child in self._children}
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return waits[done.pop()]

    async def _stop(self, child: Child) -> None:
        if child.process.returncode is None:
            child.process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(child.process.wait(), self._stop_timeout_s)
        # Whatever it started and did not stop is in its session.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.process.pid, signal.SIGKILL)
        await child.process.wait()


def failure(child: Child) -> ProcessFailed:
    """Return the error that says how a process ended, with the last lines of its log."""
    lines = child.log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
    return ProcessFailed(f"{child.name} ended with {child.process.returncode}; {child.log} says: " + " | ".join(lines))


def _die_with(parent: int) -> None:
    if sys.platform != "linux":
        return
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # It may have been killed before the kernel was asked.
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
