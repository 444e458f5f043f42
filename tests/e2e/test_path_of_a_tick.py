"""The path of a tick, as the README tells it: every function is there, and a tick passes them in that order."""

from __future__ import annotations

import ast
import asyncio
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import tapeline
from tapeline.bus.bootstrap import namespaced
from tapeline.bus.topics import apply_topics, checkpoint_topic, load_topics
from tapeline.feed.runner import Runner
from tapeline.feed.writer import Totals
from tapeline_processor.app import Worker, sessions
from tapeline_processor.settings import ProcessorSettings
from tapeline_saved.settings import SavedSettings
from tapeline_saved.source import SavedSource
from tapeline_simulator.dbn_output import write_market
from tapeline_simulator.market import Market

ROOT = Path(__file__).parents[2]
STEP = re.compile(r"\[`([\w.]+)`\]\(([\w./]+\.py)\)")


def steps() -> list[tuple[str, Path]]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.split("### The path of a tick")[1].split("\n## ")[0]
    return [(name, ROOT / path) for name, path in STEP.findall(section)]


def definitions(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ClassDef):
            inner = (child for child in node.body if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))
            names |= {f"{node.name}.{child.name}" for child in inner}
    return names


@pytest.mark.parametrize(("name", "path"), steps())
def test_every_step_is_a_function_of_its_file(name: str, path: Path) -> None:
    assert name in definitions(path)


class Footprints:
    """Follows the calls of all threads along the path; `passed` steps of it were called, each after the one before."""

    def __init__(self, path: list[tuple[str, Path]]) -> None:
        self._path = [(str(file), name) for name, file in path]
        self.passed = 0

    def __call__(self, frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call" and self.passed < len(self._path):
            code = frame.f_code
            if (code.co_filename, code.co_qualname) == self._path[self.passed]:
                self.passed += 1

    @contextmanager
    def noted(self) -> Iterator[None]:
        threading.setprofile(self)
        sys.setprofile(self)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)


def write_dbn(path: Path) -> None:
    with path.open("wb") as file:
        write_market(
            Market(["NQH7"], seed=5, records_per_s=2_000, start_ns=1_795_400_000_000_000_000),
            file.fileno(),
            snapshot=True,
            seconds=2,
            speed=None,
            began_ns=0,
            clock_ns=time.monotonic_ns,
            sleep=time.sleep,
        )


async def test_a_tick_passes_the_steps_in_order(
    bootstrap_servers: str, namespace: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", bootstrap_servers)
    apply_topics(bootstrap_servers, load_topics().values())
    file = tmp_path / "market.dbn"
    write_dbn(file)
    path = steps()
    footprints = Footprints(path)
    ticks = "md.ticks.saved.v1"
    worker = Worker(
        ProcessorSettings(),
        servers=bootstrap_servers,
        topics={namespaced(ticks): namespaced(checkpoint_topic(ticks))},
        sessions=sessions(),
    )
    with footprints.noted():
        settings = SavedSettings(path=str(file))
        totals = Totals()
        await Runner(SavedSource(settings), settings, bootstrap_servers, totals).run()
        working = asyncio.create_task(worker.run())
        rows = await asyncio.wait_for(asyncio.to_thread(first_row, bootstrap_servers), 60)
        worker.stop()
        await working
    assert sum(totals.ticks.values()) > 1_000
    told = await asyncio.to_thread(run_the_readme_s_python)
    assert len(told["ticks"]["price"]) == sum(totals.ticks.values())
    assert (rows["symbol"], rows["window_start"], rows["order_flow_imbalance"]) in told["imbalance"]
    assert rows["symbol"] == "NQH7"
    assert footprints.passed == len(path), f"no tick came to {path[footprints.passed]}"


def run_the_readme_s_python() -> dict[str, Any]:
    (program,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(program, names)  # noqa: S102
    return names


def first_row(bootstrap: str) -> dict[str, Any]:
    with tapeline.consume("md.pressure.v1", start="earliest", bootstrap=bootstrap) as rows:
        return next(iter(rows))  # type: ignore[return-value]
