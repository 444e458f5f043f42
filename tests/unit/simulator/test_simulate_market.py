"""`tapeline simulate market` as a reader of its pipe or file meets it."""

from __future__ import annotations

import fcntl
import io
import os
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import databento_dbn as dbn
import numpy as np
import pytest

from tapeline.feed.dbn import DbnReader, open_dbn
from tapeline_simulator.dbn_output import write_market
from tapeline_simulator.exchange import MAX_LATENCY_NS
from tapeline_simulator.market import Market, instrument_id

START = 1_790_000_000_000_000_000
COMMAND = [sys.executable, "-m", "tapeline_cli", "simulate", "market"]
DEADLINE_S = 60


def simulate(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)


def waiting_bytes(descriptor: int) -> int:
    """Return how many bytes a pipe holds that nobody has read."""
    return int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, b"    "), sys.byteorder)


@pytest.fixture
def endless() -> Iterator[subprocess.Popen[bytes]]:
    process = simulate("--rate", "20000")
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_file_is_read_by_the_official_decoder_and_ours_alike(tmp_path: Path) -> None:
    path = tmp_path / "market.dbn"
    arguments = ["--seconds", "20", "--speed", "max", "--start", "2026-09-21T14:13:20", "--symbols", "NQZ6,NQH7"]
    done = subprocess.run([*COMMAND, *arguments, "-o", str(path)], capture_output=True, timeout=DEADLINE_S, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")

    decoder = dbn.DBNDecoder()
    decoder.write(path.read_bytes())
    metadata, *records = decoder.decode()
    assert (metadata.version, metadata.dataset, str(metadata.schema)) == (3, "TAPELINE.SIM", "mbo")
    assert metadata.symbols == ["NQZ6", "NQH7"]
    assert metadata.start == START

    with open_dbn(path) as reader:
        batches = list(reader.batches())
        for symbol in metadata.symbols:
            assert reader.symbology.symbol(instrument_id(symbol), START) == symbol
    assert sum(len(batch) for batch in batches) == len(records) > 20 * 1_000
    last = batches[-1].columns["ts_event"][-1]
    assert START + 19 * 10**9 < last <= START + 20 * 10**9

    again = tmp_path / "again.dbn"
    subprocess.run([*COMMAND, *arguments, "-o", str(again)], timeout=DEADLINE_S, check=True)
    assert again.read_bytes() == path.read_bytes()


def test_without_a_snapshot_the_tape_begins_in_mid_session(tmp_path: Path) -> None:
    path = tmp_path / "market.dbn"
    arguments = ["--seconds", "1", "--speed", "max", "--no-snapshot", "-o", str(path)]
    subprocess.run([*COMMAND, *arguments], timeout=DEADLINE_S, check=True)
    with open_dbn(path) as reader:
        flags = np.concatenate([batch.columns["flags"] for batch in reader.batches()])
    assert set(flags.tolist()) == {0, 128}


def test_at_real_speed_records_arrive_when_they_say(endless: subprocess.Popen[bytes]) -> None:
    assert endless.stdout is not None
    delays = []
    for batch in DbnReader(endless.stdout, "pipe").batches():
        live = batch.columns["ts_recv"][batch.columns["flags"] & 32 == 0]
        if len(live):
            delays.append(time.time_ns() - int(live[-1]))
        if len(delays) > 200:
            break
    assert min(delays) > -5e6, "a record came before its time"
    assert np.median(delays) < 50e6


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("speed", ["1", "max"])
def test_a_signal_ends_it_with_a_whole_record_even_while_the_reader_does_not_read(
    number: signal.Signals, speed: str
) -> None:
    process = simulate("--rate", "50000", "--speed", speed, "--symbols", "NQZ6,NQH7,NQM7")
    assert process.stdout is not None
    deadline = time.monotonic() + DEADLINE_S
    while waiting_bytes(process.stdout.fileno()) < 60_000:
        assert time.monotonic() < deadline
        assert process.poll() is None
        select.select([], [], [], 0.01)
    process.send_signal(number)
    assert process.wait(DEADLINE_S) == 0
    output, errors = process.communicate()
    assert errors == b""
    assert sum(len(batch) for batch in DbnReader(io.BytesIO(output), "pipe").batches()) > 1_000


def test_a_reader_that_goes_away_ends_it_quietly(endless: subprocess.Popen[bytes]) -> None:
    assert endless.stdout is not None
    assert endless.stderr is not None
    endless.stdout.read(1)
    endless.stdout.close()
    assert endless.wait(DEADLINE_S) == 0
    assert endless.stderr.read() == b""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--speed", "fast"], "--speed must be"),
        (["--speed", "0"], "--speed must be"),
        (["--start", "yesterday"], "--start must be"),
        (["--symbols", "NQZ6,NQZ6"], "each once"),
        (["--rate", "0"], "rate must be"),
        (["-o", "/nowhere/market.dbn"], "cannot be written"),
    ],
)
def test_a_wrong_argument_is_a_usage_error(arguments: list[str], message: str) -> None:
    process = simulate(*arguments)
    output, errors = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, output) == (2, b"")
    assert message in errors.decode()
    assert b"Traceback" not in errors


@pytest.mark.parametrize("speed", [1.0, 25.0])
def test_pacing_follows_the_clock_it_is_given(tmp_path: Path, speed: float) -> None:
    market = Market(["NQZ6"], seed=1, records_per_s=2_000, start_ns=START)
    path = tmp_path / "market.dbn"
    now_ns, head_bytes = 5_000_000_000, 0
    seen: list[tuple[int, int]] = []

    def sleep(seconds: float) -> None:
        nonlocal now_ns, head_bytes
        assert 0 < seconds <= 0.005, "small flushes"
        size = path.stat().st_size
        head_bytes = head_bytes or size
        seen.append((now_ns, (size - head_bytes) // 56))
        now_ns += int(seconds * 1e9)

    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    write_market(
        market,
        descriptor,
        snapshot=False,
        seconds=10,
        speed=speed,
        began_ns=now_ns,
        clock_ns=lambda: now_ns,
        sleep=sleep,
    )
    os.close(descriptor)

    with open_dbn(path) as reader:
        market_ns = np.concatenate([batch.columns["ts_recv"] for batch in reader.batches()]) - START
    assert now_ns - 5_000_000_000 == pytest.approx(10e9 / speed, rel=0.01)
    for clock_ns, written in seen:
        elapsed = (clock_ns - 5_000_000_000) * speed
        assert (market_ns[:written] <= elapsed).all(), "written before its time"
        assert (market_ns[written:] > elapsed - 2 * MAX_LATENCY_NS).all(), "held back"
