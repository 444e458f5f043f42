"""`tapeline fetch databento` and `tapeline cache`, run as a user runs them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.integration.databento.history import DAYS, PER_DAY, asked, vendor
from tests.integration.simulator.historical import KEY

import tapeline
from tapeline.model.usage import decode_usage
from tapeline_simulator.databento.history.faults import HistoryFault
from tapeline_simulator.databento.history.server import HistoryServer

TAPELINE = Path(sys.executable).with_name("tapeline")
DEADLINE_S = 60.0
FIRST, END = "2026-09-22", "2026-09-25"
FETCH = ("fetch", "databento", "--schema", "mbo", "--symbols", "NQZ6", "--start", FIRST, "--end", END)
RECORDS = 5 + DAYS * PER_DAY


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return orjson.loads(self.out)


class Shell:
    """Runs `tapeline` in an environment of its own, while this loop serves the vendor."""

    def __init__(self, folder: Path, server: HistoryServer) -> None:
        self.folder = folder
        self.environment = os.environ | {
            "TAPELINE_STATE_DIR": str(folder / "state"),
            "TAPELINE_DATABENTO_API_KEY": KEY,
            "TAPELINE_DATABENTO_HISTORY_GATEWAY": server.url,
            "REQUESTS_CA_BUNDLE": str(folder / "tls" / "ca.pem"),
            "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        }

    async def start(self, *arguments: str, **environment: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            TAPELINE,
            *arguments,
            cwd=self.folder,
            env=self.environment | environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def run(self, *arguments: str, **environment: str) -> Done:
        process = await self.start(*arguments, **environment)
        async with asyncio.timeout(DEADLINE_S):
            out, err = await process.communicate()
        assert process.returncode is not None
        # Whatever happened, the key was not told.
        assert KEY not in out.decode() + err.decode()
        return Done(process.returncode, out.decode(), err.decode())

    def kept(self) -> list[Path]:
        return sorted(path for path in (self.folder / "state" / "cache").rglob("*") if path.is_file())

    def sizes(self) -> set[tuple[str, int]]:
        return {(str(path), path.stat().st_size) for path in self.kept()}

    async def until_it_hangs(self, server: HistoryServer) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while server.faults._waiting:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[HistoryServer]:
    async with vendor(tmp_path) as server:
        yield server


@pytest.fixture
def shell(tmp_path: Path, server: HistoryServer) -> Shell:
    return Shell(tmp_path, server)


async def test_a_fetch_tells_everything_and_the_next_one_is_free(server: HistoryServer, shell: Shell) -> None:
    first = await shell.run(*FETCH, "--json")
    assert first.code == 0, first.err
    told = first.document
    assert (told["hits"], told["misses"], told["estimate"]["records"]) == (0, 1 + DAYS, RECORDS)
    assert told["spent_usd"] == told["estimate"]["usd"] == told["month"]["metered_usd"] == "0.000697"
    assert [file["records"] for file in told["files"]] == [5] + [PER_DAY] * DAYS
    assert {(file["path"], file["bytes"]) for file in told["files"]} < shell.sizes()
    assert "the usage is kept" in first.err  # there is no broker

    server.requests.clear()
    again = (await shell.run(*FETCH, "--json")).document
    assert (again["hits"], again["misses"], again["spent_usd"]) == (1 + DAYS, 0, "0.000000")
    assert again["saved_usd"] == told["spent_usd"]
    assert [file["path"] for file in again["files"]] == [file["path"] for file in told["files"]]
    assert not server.requests

    cache = (await shell.run("cache", "--json")).document
    size = sum(size for _, size in shell.sizes())
    assert cache == {
        "source": "databento",
        "entries": 1 + DAYS,
        "bytes": size,
        "hits": 1 + DAYS,
        "misses": 1 + DAYS,
        "hit_ratio": 0.5,
        "spent_usd": "0.000697",
        "saved_usd": "0.000697",
    }
    assert "4 hits, 4 misses (50.0%); spent $0.000697, saved $0.000697" in (await shell.run("cache")).out


async def test_people_are_told_in_lines(server: HistoryServer, shell: Shell) -> None:
    done = await shell.run(*FETCH)
    lines = done.out.splitlines()
    assert lines[0] == ("GLBX.MDP3 mbo of NQZ6, 2026-09-22T00:00:00Z to 2026-09-25T00:00:00Z: 4 files, 0 in the cache")
    assert "estimate is $0.000697 (cap $5.00)" in lines[1]
    assert {line.split()[-1] for line in lines[2:6]} < {path for path, _ in shell.sizes()}
    assert lines[6] == "0 hits, 4 misses; spent $0.000697, saved $0.00"
    assert "metered $0.000697 of a budget of $50.00" in lines[7]


async def test_an_estimate_fetches_nothing(server: HistoryServer, shell: Shell) -> None:
    done = await shell.run(*FETCH, "--estimate", "--cap-usd", "0", "--json")
    assert done.code == 0
    assert done.document["estimate"] == {"usd": "0.000697", "bytes": RECORDS * 56, "records": RECORDS}
    assert done.document["files"] == []
    assert asked(server, "timeseries.get_range") == 0
    assert shell.kept() == []


async def test_above_the_cap_nothing_is_fetched_and_the_remedy_told(server: HistoryServer, shell: Shell) -> None:
    done = await shell.run(*FETCH, "--cap-usd", "0.0001", "--json")
    assert (done.code, done.out) == (2, "")
    assert "estimate is $0.000697" in done.err
    assert "cap per fetch is $0.0001" in done.err
    assert "--cap-usd" in done.err
    budget = await shell.run(*FETCH, TAPELINE_DATABENTO_MONTHLY_BUDGET_USD="0.0002")
    assert budget.code == 2
    assert "budget of the month is $0.0002" in budget.err
    assert "Traceback" not in done.err + budget.err
    assert asked(server, "timeseries.get_range") == 0


async def test_the_last_day_is_refused_with_what_can_be_had(shell: Shell) -> None:
    done = await shell.run(*FETCH[:-1], "2026-09-26T12:00")
    assert done.code == 2
    assert "Ask for --end 2026-09-26T00:00:00Z or earlier" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "environment", "told"),
    [
        (("--schema", "level-9"), {}, "take one of bbo-1m"),
        (("--cap-usd", "much"), {}, "TAPELINE_DATABENTO_CAP_USD"),
        ((), {"TAPELINE_DATABENTO_API_KEY": "", "DATABENTO_API_KEY": ""}, "there is no API key"),
        ((), {"TAPELINE_DATABENTO_API_KEY": "db-" + "w" * 29}, "does not accept the API key"),
        (("--cache-dir", "/proc/none"), {}, "/proc/none"),
    ],
)
async def test_a_users_mistake_is_told_in_one_line(
    shell: Shell, arguments: tuple[str, ...], environment: dict[str, str], told: str
) -> None:
    done = await shell.run(*FETCH, *arguments, **environment)
    assert done.code in (1, 2)
    assert told in done.err
    assert "Traceback" not in done.err
    assert "w" * 29 not in done.err


async def test_debug_logs_do_not_tell_the_key(server: HistoryServer, shell: Shell) -> None:
    server.faults.add(HistoryFault("refuse", status=503))
    done = await shell.run(*FETCH, TAPELINE_LOG_LEVEL="debug")
    assert done.code == 0
    assert "trying again" in done.err
    assert KEY[-5:] not in done.err


async def test_a_fetch_that_is_interrupted_leaves_nothing_and_goes_on_later(
    server: HistoryServer, shell: Shell
) -> None:
    server.faults.add(HistoryFault("hang", "timeseries.get_range"))
    process = await shell.start(*FETCH)
    try:
        await shell.until_it_hangs(server)
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(DEADLINE_S):
            await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 130
    assert shell.kept() == []
    server.faults.clear()
    assert (await shell.run(*FETCH, "--json")).document["misses"] == 1 + DAYS


async def test_what_was_fetched_is_replayed_and_the_usage_published(
    server: HistoryServer, shell: Shell, bootstrap_servers: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = {"KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers, "TAPELINE_NAMESPACE": namespace}
    assert (await shell.run("topics", "apply", **broker)).code == 0
    done = await shell.run(*FETCH, "--output", "week", "--json", **broker)
    assert done.code == 0, done.err
    assert [Path(file["path"]).parent for file in done.document["files"]] == [Path("week")] * 4
    names = sorted(path.name for path in (shell.folder / "week").iterdir())
    assert names[0] == "NQZ6-mbo.20260922T000000-20260922T000000.snapshot.dbn.zst"
    assert names[1] == "NQZ6-mbo.20260922T000000-20260923T000000.dbn.zst"

    replayed = await shell.run("replay", "week", "--json", **broker)
    assert replayed.code == 0, replayed.err
    assert replayed.document["stream"] == "GLBX.MDP3/NQZ6"
    assert replayed.document["ticks"] == RECORDS

    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", bootstrap_servers)
    usages = await asyncio.to_thread(_usages)
    assert [(usage.source, usage.line) for usage in usages] == [("databento", "metered")]
    assert usages[0].schemas["GLBX.MDP3/mbo"].bytes == RECORDS * 56
    assert usages[0].schemas["GLBX.MDP3/mbo"].price_micro_usd_per_gib == 1_110_000
    assert (usages[0].cache_hits, usages[0].cache_misses) == (0, 4)
    await shell.run(*FETCH, **broker)
    newest = (await asyncio.to_thread(_usages))[-1]
    assert newest.key == usages[0].key
    assert newest.cache_hits == 4


def _usages() -> list[Any]:
    with tapeline.consume("md.usage.v1", start="earliest", follow=False) as rows:
        return [decode_usage(orjson.dumps(row)) for row in rows]
