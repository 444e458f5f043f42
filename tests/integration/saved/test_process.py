"""The commands as processes: signals, pipes, faults, a producer that took over, the health endpoint."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import psutil
import pytest
from tests.integration.saved.tape import Ended, SavedTape, free_port, get, metric
from tests.unit.saved.files import DATASET, START_NS, head, orders, write

STREAM = f"{DATASET}/NQH6"
REPLAY = ("tapeline_cli", "replay")


def assert_told_in_words(ended: Ended, code: int, *words: str) -> None:
    assert ended.code == code, ended
    assert "Traceback" not in ended.stderr
    for word in words:
        assert word in ended.stderr


def test_the_report_says_what_was_published(tape: SavedTape, tmp_path: Path) -> None:
    path = write(tmp_path / "day.dbn", head(), orders(5_000))
    with tape.command(*REPLAY, str(path), "--json") as command:
        ended = command.end()
    assert_told_in_words(ended, 0)
    assert ended.stderr == ""
    (report,) = ended.reports
    seconds = report.pop("seconds")
    assert 0 < seconds < 30
    assert report == {"file": str(path), "stream": STREAM, "ticks": 5_000, "frames": len(tape.frames())}
    assert tape.ticks() == 5_000


def test_sigterm_ends_an_endless_replay_with_everything_delivered(tape: SavedTape, tmp_path: Path) -> None:
    path = write(tmp_path / "day.dbn", head(), orders(20_000))
    with tape.command(*REPLAY, str(path), "--loop", "--rebase", "--json") as command:
        command.until(lambda: len({frame.session for frame in tape.frames()}) >= 2)
        ended = command.terminate()
    assert_told_in_words(ended, 0)
    frames = tape.frames()
    assert ended.reports[-1]["ticks"] == sum(len(frame) for frame in frames)
    assert ended.reports[-1]["frames"] == len(frames)
    for session in {frame.session for frame in frames}:
        numbers = [frame.frame for frame in frames if frame.session == session]
        assert numbers == list(range(len(numbers)))
    assert tape.events()[-1].type == "disconnected"
    newest = tape.cursors()[-1]
    assert (newest.kinds["mbo"].session, newest.kinds["mbo"].frame) == (frames[-1].session, frames[-1].frame)


def test_an_endless_pipe_is_on_the_tape_at_once_and_sigterm_ends_it_promptly(tape: SavedTape) -> None:
    with tape.command(*REPLAY, "-", "--json") as command:
        command.give(head() + orders(3))
        command.until(lambda: tape.ticks() == 3)
        command.give(orders(2, start_ns=START_NS + 10**9, first=3))
        command.until(lambda: tape.ticks() == 5)
        began_s = time.monotonic()
        ended = command.terminate()
        assert time.monotonic() - began_s < 5.0
    assert_told_in_words(ended, 0)
    assert ended.reports[0]["ticks"] == 5
    assert tape.events()[-1].reason == "stopped"
    assert tape.marks("clock") == []


def test_sigterm_ends_a_pipe_that_never_spoke(tape: SavedTape) -> None:
    with tape.command(*REPLAY, "-", "--json", TAPELINE_LOG_LEVEL="info") as command:
        assert command.process.stderr is not None
        while b"started" not in command.process.stderr.readline():
            assert command.process.poll() is None
        ended = command.terminate(timeout_s=5.0)
    assert_told_in_words(ended, 0)
    assert ended.reports == []
    assert tape.placed() == []


def test_a_producer_that_was_taken_over_from_ends_and_says_so(tape: SavedTape, tmp_path: Path) -> None:
    path = write(tmp_path / "day.dbn", head(), orders(100))
    with tape.command(*REPLAY, "-") as first:
        # It has nothing to write, and yet must not stay.
        first.give(head())
        first.until(lambda: any(event.type == "connected" for event in tape.events()))
        with tape.command(*REPLAY, str(path)) as second:
            assert second.end().code == 0
        first.process.wait(15.0)
        ended = first.end()
    assert_told_in_words(ended, 1, f"saved {STREAM}: taken over with epoch 2, this producer has 1")
    ends = [event for event in tape.events() if event.type == "disconnected"]
    assert ["taken over" in event.reason for event in sorted(ends, key=lambda event: event.epoch)] == [True, False]


def test_a_cut_file_is_told_and_what_was_whole_is_published(tape: SavedTape, tmp_path: Path) -> None:
    path = write(tmp_path / "cut.dbn", (head() + orders(50))[:-1])
    with tape.command(*REPLAY, str(path), "--json") as command:
        ended = command.end()
    assert_told_in_words(ended, 1, str(path), "byte", "the stream was cut")
    assert ended.reports[0]["ticks"] == tape.ticks() == 49


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"ts_event,price\n1,2\n", 1, ("must begin as DBN",)),
        (None, 2, ("there is no such file or folder",)),
    ],
)
def test_a_foreign_or_missing_file_is_named(
    tape: SavedTape, tmp_path: Path, content: bytes | None, code: int, words: tuple[str, ...]
) -> None:
    path = tmp_path / "day.dbn"
    if content is not None:
        write(path, content)
    with tape.command(*REPLAY, str(path), "--json") as command:
        ended = command.end()
    assert_told_in_words(ended, code, str(path), *words)
    assert ended.stdout == ""
    assert tape.placed() == []


def test_a_misspelt_setting_of_the_service_is_named(tape: SavedTape) -> None:
    with tape.command("tapeline_saved", TAPELINE_SAVED_PATHH="x") as command:
        ended = command.end()
    assert_told_in_words(ended, 2, "TAPELINE_SAVED_PATHH", "TAPELINE_SAVED_PATH,")


def test_the_health_endpoint_answers_on_loopback_only(tape: SavedTape, tmp_path: Path) -> None:
    path = write(tmp_path / "day.dbn", head(), orders(60_000, step_ns=10_000_000))
    port = free_port()
    environment = {
        "TAPELINE_SAVED_PATH": str(path),
        "TAPELINE_SAVED_SPEED": "10",
        "TAPELINE_SAVED_HEALTH_PORT": str(port),
    }
    with tape.command("tapeline_saved", **environment) as command:
        command.until(lambda: get(port, "/readyz")[0] == 200)
        command.until(lambda: tape.ticks() > 0)
        code, body = get(port, "/readyz")
        facts = orjson.loads(body)
        assert (code, facts["source"], facts["streams"][STREAM]["epoch"]) == (200, "saved", 1)
        assert facts["streams"][STREAM]["ticks"] > 0
        assert get(port, "/livez")[0] == 200
        assert metric(port, f'tapeline_producer_ticks_total{{kind="mbo",source="saved",stream="{STREAM}"}}') > 0
        assert metric(port, "tapeline_event_loop_delay_seconds_count") > 0
        listening = [
            connection.laddr.ip
            for connection in psutil.Process(command.process.pid).net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert listening == ["127.0.0.1"]
        with _kept_alive(port):
            began_s = time.monotonic()
            ended = command.terminate()
            assert time.monotonic() - began_s < 5.0, "a scraper's connection must not hold up the end"
    assert_told_in_words(ended, 0)


def test_a_port_that_is_taken_is_told(tape: SavedTape, tmp_path: Path) -> None:
    path = write(tmp_path / "day.dbn", head(), orders(5))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with tape.command("tapeline_saved", TAPELINE_SAVED_PATH=str(path), TAPELINE_SAVED_HEALTH_PORT=port) as command:
            ended = command.end()
    assert_told_in_words(ended, 2, f"127.0.0.1:{port}")


@contextmanager
def _kept_alive(port: int) -> Iterator[None]:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(16).startswith(b"HTTP/1.1 200")
        yield
