"""A service as a process of its own, as users run it: started, killed, stopped, woken up and asked to end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

DEADLINE_S = 120.0
_POLL_S = 0.1


class Service:
    """``python -m <module>`` with its logs in a file; `environment` is all it has besides this process's own."""

    def __init__(self, module: str, name: str, folder: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self._module = module
        self._folder = folder
        self._environment = dict(environment)
        self._process: Process | None = None
        self._lives = 0
        self.url = ""

    @property
    def log(self) -> Path:
        """Where the life that was begun last writes its logs."""
        return self._folder / f"{self.name}-{self._lives}.log"

    @property
    def is_running(self) -> bool:
        """Whether it was begun and has not ended."""
        return self._process is not None and self._process.returncode is None

    async def start(self, **settings: object) -> None:
        """Begin a life; `settings` are names of the environment, and their values."""
        self._lives += 1
        self.url = ""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TAPELINE_")}
        environment |= self._environment | {name: str(value) for name, value in settings.items()}
        with self.log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", self._module, env=environment, cwd=self._folder, stdout=DEVNULL, stderr=log
            )

    async def ready(self) -> None:
        """Wait until it says on /readyz that it is."""
        deadline_s = time.monotonic() + DEADLINE_S
        while (await self.get("/readyz"))[0] != 200:
            assert self.is_running, f"{self.name} ended:\n{self.log.read_text()[-3000:]}"
            assert time.monotonic() < deadline_s, f"{self.name} is not ready:\n{self.log.read_text()[-3000:]}"
            await asyncio.sleep(_POLL_S)

    async def get(self, path: str) -> tuple[int, bytes]:
        """Return status and body of a page of its health endpoint; status 0 where it does not answer."""
        if not self.url:
            self.url = next((line["health"] for line in self.said("started") if "health" in line), "")
        return await asyncio.to_thread(_get, self.url + path) if self.url else (0, b"")

    async def json(self, path: str) -> Any:
        """Return a document of its health endpoint; None where there is none now."""
        status, body = await self.get(path)
        return json.loads(body) if status == 200 else None

    def said(self, event: str) -> list[dict[str, Any]]:
        """Return what it logged of that name in this life."""
        # The last one may be half written.
        whole, _, _ = self.log.read_text().rpartition("\n")
        lines = [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
        return [line for line in lines if line["event"] == event]

    def pause(self) -> None:
        """Stop it where it is, as a machine that hangs."""
        self._send(signal.SIGSTOP)

    def wake(self) -> None:
        """Let it go on."""
        self._send(signal.SIGCONT)

    async def kill(self) -> None:
        """End it at once; nothing where it has ended."""
        if self._process is not None and self.is_running:
            self._process.kill()
            await self._process.wait()

    async def end(self) -> None:
        """Ask it to end, and hold it to doing so in order."""
        if not self.is_running:
            return
        self._send(signal.SIGTERM)
        code = await self.ended()
        assert code == 0, f"{self.name} ended with {code}:\n{self.log.read_text()[-3000:]}"

    async def ended(self) -> int:
        """Wait until it has ended by itself, and return its exit code."""
        assert self._process is not None
        async with asyncio.timeout(DEADLINE_S):
            return await self._process.wait()

    def _send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)


def _get(url: str) -> tuple[int, bytes]:
    try:
        with urlopen(url, timeout=5) as response:  # noqa: S310 (a service of this test's own)
            return response.status, response.read()
    except HTTPError as error:
        return error.code, error.read()
    except (URLError, OSError):
        return 0, b""
