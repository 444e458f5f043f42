"""The control API, and the commands that run the simulated vendor and let things go wrong with it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import databento
import databento_dbn as dbn
import orjson
import pytest
from tests.integration.simulator.live import DEADLINE_S, Client, eventually, serving, small_tape, started

from tapeline_simulator.databento.commands import DEMO_KEY
from tapeline_simulator.databento.control import ControlApi
from tapeline_simulator.databento.gateway import Gateway

TAPELINE = [sys.executable, "-m", "tapeline_cli"]


class Control:
    """The API, as a client sees it: status and document of each answer."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        async with self._session.request(method, self._url + path, data=body) as response:
            assert response.content_type == "application/json"
            return response.status, orjson.loads(await response.read())


@contextlib.asynccontextmanager
async def controlled(folder: Path) -> AsyncIterator[tuple[Gateway, Control]]:
    async with serving(small_tape(folder)) as gateway, ControlApi(gateway) as api, aiohttp.ClientSession() as session:
        yield gateway, Control(session, f"http://{api.host}:{api.port}")


async def test_a_fault_is_started_listed_and_ended(tmp_path: Path) -> None:
    async with controlled(tmp_path) as (gateway, control):
        client = await started(gateway, {"schema": "mbo"})
        fault = {"number": 1, "name": "stall", "schema": "mbo", "seconds": 30}
        assert await control.ask("POST", "/faults", b'{"name": "stall", "seconds": 30}') == (201, fault)
        assert await control.ask("GET", "/faults") == (200, [fault])
        status, rest = await control.ask("DELETE", "/faults/1")
        assert (status, rest, gateway.faults.active()) == (200, [], [])
        await control.ask("POST", "/faults", b'{"name": "refuse", "seconds": 30}')
        assert await control.ask("DELETE", "/faults") == (200, [])
        assert gateway.faults.active() == []
        await control.ask("POST", "/faults", b'{"name": "fin"}')
        assert await client.closed() is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"stall", "body: must be JSON"),
        (b"[]", "body: must be an object with a name"),
        (b'{"name": 5}', "body: must be an object with a name"),
        (b'{"name": "fire"}', "name: must be one of fin"),
        (b'{"name": "fin", "self": 1}', "self: is no parameter of fin"),
        (b'{"name": "http-hang"}', "name: http-hang concerns history, which is not served"),
    ],
)
async def test_a_wrong_request_is_refused_in_words(tmp_path: Path, body: bytes, said: str) -> None:
    async with controlled(tmp_path) as (gateway, control):
        status, answer = await control.ask("POST", "/faults", body)
        assert status == 400
        assert answer["error"].startswith(said)
        assert gateway.faults.active() == []


async def test_an_unknown_path_is_answered_as_json_too(tmp_path: Path) -> None:
    async with controlled(tmp_path) as (_, control):
        assert await control.ask("GET", "/fault") == (404, {"error": "GET /fault: Not Found"})
        assert (await control.ask("PUT", "/faults"))[0] == 405


async def test_sessions_tell_what_they_asked_for_and_were_sent(tmp_path: Path) -> None:
    async with controlled(tmp_path) as (gateway, control):
        client: Client = await started(gateway, {"schema": "mbo", "start": 0})
        await client.until(lambda: "Finished mbo replay" in client.notices)
        _, (session,) = await control.ask("GET", "/sessions?counts=1")
        assert session["state"] == "streaming"
        assert session["sent"] == {"mbo": {"1": 200, "2": 200}}
        assert session["bytes_sent"] > 400 * 56
        assert session["subscriptions"] == [
            {
                "id": 1,
                "schema": "mbo",
                "stype_in": "parent",
                "symbols": 1,
                "first_symbol": "NQ.FUT",
                "start_ns": "0",
                "snapshot": False,
            }
        ]
        _, status = await control.ask("GET", "/status")
        assert status["records"] == {"mbo": 600, "trades": 600}
        assert (status["sessions"], status["instruments"], status["faults"]) == (1, 3, [])


# -- commands --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def simulated(folder: Path, *arguments: str) -> Iterator[dict[str, Any]]:
    """Run the simulated vendor; give the addresses that it tells."""
    command = [*TAPELINE, "simulate", "databento", "--port", "0", "--control-port", "0", "--json", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise AssertionError(process.communicate()[1].decode())
        yield orjson.loads(line)
        process.send_signal(signal.SIGTERM)
        out, error = process.communicate(timeout=DEADLINE_S)
        assert (process.returncode, out, error) == (0, b"", b"")
    finally:
        process.kill()
        process.wait()


def fault(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TAPELINE, "simulate", "fault", *arguments], capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )


async def test_the_synthetic_market_is_served_and_faults_come_from_the_command_line(tmp_path: Path) -> None:
    with simulated(tmp_path, "--no-options", "--history-port", "0") as told:
        records: list[Any] = []
        client = databento.Live(key=DEMO_KEY, gateway=told["gateway"], port=told["port"])
        client.add_callback(records.append)
        await asyncio.to_thread(client.subscribe, "GLBX.MDP3", "mbo", ["NQ.FUT"], "parent")
        client.start()
        await eventually(lambda: sum(isinstance(each, dbn.MBOMsg) for each in list(records)) > 100)
        assert told["history_url"].startswith("https://127.0.0.1:")
        assert "BEGIN CERTIFICATE" in await asyncio.to_thread(Path(told["authority"]).read_text)
        at = ("--control-port", str(told["control_port"]))
        started = await asyncio.to_thread(fault, *at, "refuse", "seconds=30")
        assert orjson.loads(started.stdout) == {"number": 1, "name": "refuse", "seconds": 30}
        listed = await asyncio.to_thread(fault, *at)
        assert orjson.loads(listed.stdout)["name"] == "refuse"
        cleared = await asyncio.to_thread(fault, *at, "--clear")
        assert (cleared.returncode, cleared.stdout, cleared.stderr) == (0, "", "nothing goes wrong now\n")
        wrong = await asyncio.to_thread(fault, *at, "stall", "schema=mbo-2")
        assert (wrong.returncode, wrong.stdout) == (2, "")
        assert wrong.stderr.startswith("tapeline: schema: must be one of mbo,")
        await asyncio.to_thread(fault, *at, "rst")
        with pytest.raises(databento.BentoError, match="Connection reset by peer"):
            await asyncio.wait_for(asyncio.to_thread(client.block_for_close), DEADLINE_S)


@pytest.mark.parametrize("times", ["now", "original"])
async def test_files_are_served_at_their_pace(tmp_path: Path, real_data: Path, times: str) -> None:
    path = real_data / "databento" / "esm4-glbx-mdp3-20240508-2s.mbo.dbn.zst"
    whole = [record.sequence for record in databento.DBNStore.from_file(path)]
    with simulated(tmp_path, "--file", str(path), "--times", times) as told:
        records: list[Any] = []
        client = databento.Live(key=DEMO_KEY, gateway=told["gateway"], port=told["port"])
        client.add_callback(records.append)
        await asyncio.to_thread(client.subscribe, "GLBX.MDP3", "mbo", ["ES.FUT"], "parent", start=0)
        client.start()
        await eventually(lambda: sum(isinstance(each, dbn.MBOMsg) for each in list(records)) == len(whole))
        assert [each.sequence for each in records if isinstance(each, dbn.MBOMsg)] == whole
        client.terminate()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--speed", "0"], "--speed must be a number above 0"),
        (["--times", "later"], "--times must be now or original, is 'later'"),
        (["--file", "none.dbn"], "none.dbn: cannot be read"),
        (["--rate", "0"], "the rate must be within"),
    ],
)
def test_a_wrong_option_is_told_without_a_trace(tmp_path: Path, arguments: list[str], said: str) -> None:
    with pytest.raises(AssertionError) as failed, simulated(tmp_path, *arguments):
        pass
    assert str(failed.value).startswith(f"tapeline: {said}")
    assert "Traceback" not in str(failed.value)


def test_a_port_that_is_taken_is_told_with_the_remedy(tmp_path: Path) -> None:
    with simulated(tmp_path, "--no-options") as told:
        command = [*TAPELINE, "simulate", "databento", "--no-options", "--port", str(told["port"])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 2
    assert "Address already in use (set another --port, or 0)" in done.stderr


def test_a_fault_without_a_simulator_says_what_to_start() -> None:
    done = fault("--control-port", "1", "fin")
    assert done.returncode == 1
    assert "start `tapeline simulate databento`" in done.stderr
    assert fault("--control-port", "1", "fin", "now").stderr.startswith(
        "tapeline: a parameter must be given as name=value"
    )
