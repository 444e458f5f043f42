"""Measure Tapeline side by side with what a user would pick instead: `make bench`, or `run.py --help`.

Prints a table and writes `.tapeline/bench.json`. Each figure is the median of several runs, and the runs of the
alternatives take turns, so that a slow minute of the machine meets them all. How a figure is measured is said where it
is measured, and in the footnotes. Fails where something could not be measured, never because a figure is low.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

import chain_assembly
import chain_path
import chain_volatility
import databento_live
import end_to_end
import kernel
import latency
import outage
import per_message
import ticks_file
import watchdog_cost
from broker import Broker, any_broker
from figures import TARGETS, Figure, middle, show, write
from processes import FOLDER

from tapeline.errors import Retryable, TapelineError
from tapeline_cli.local_broker import state_folder

CORES = 2
_KEPT_SETTINGS = ("TAPELINE_REAL_DATA", "TAPELINE_STATE_DIR")
_QUIXSTREAMS = {"against_quixstreams": "every metric", "against_quixstreams_simple": "simpler metrics"}
_RATES = {"end_to_end_ticks_per_s", "against_faust_per_message", "share_of_raw_limit", *_QUIXSTREAMS}
_MEMORY = {"rss_mb", "rss_growth_mb"}
_WATCHDOG = {"watchdog_cpu_percent", "watchdog_rss_mb"}


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured in one run of each kind."""

    ticks: int
    messages: int
    live_s: float
    kernel_passes: int
    chain_passes: int
    assembled_s: int
    live_records: int
    outages_s: tuple[float, ...]
    watched_s: float
    warms_broker: bool


FULL = Size(
    ticks=10_000_000,
    messages=60_000,
    live_s=20.0,
    kernel_passes=50,
    chain_passes=200,
    assembled_s=20,
    live_records=10_000_000,
    outages_s=(1.0, 1.0, 1.0, 30.0),
    watched_s=60.0,
    warms_broker=True,
)
QUICK = Size(
    ticks=500_000,
    messages=10_000,
    live_s=4.0,
    kernel_passes=5,
    chain_passes=20,
    assembled_s=3,
    live_records=1_000_000,
    outages_s=(1.0,),
    watched_s=30.0,
    warms_broker=False,
)


@dataclass(slots=True)
class Measured:
    """What the runs gave, in their order."""

    end_to_end: list[end_to_end.EndToEnd] = field(default_factory=list)
    raw_ticks_per_s: list[float] = field(default_factory=list)
    faust_ticks_per_s: list[float] = field(default_factory=list)
    quixstreams_ticks_per_s: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in _QUIXSTREAMS})
    kernel_ns: list[float] = field(default_factory=list)
    chain_ms: list[float] = field(default_factory=list)
    chain_iv_ms: list[float] = field(default_factory=list)
    chain_assembler_quotes_per_s: list[float] = field(default_factory=list)
    latency: list[latency.Latency] = field(default_factory=list)
    databento: list[databento_live.LiveFeed] = field(default_factory=list)
    outages: list[outage.Outage] = field(default_factory=list)
    watchdog: list[watchdog_cost.WatchdogCost] = field(default_factory=list)


async def measure(
    broker: Broker, file: ticks_file.TicksFile, size: Size, runs: int, names: AbstractSet[str]
) -> Measured:
    """Take the measurements that the named figures need."""
    measured = Measured()
    if size.warms_broker and names & (_RATES | _MEMORY):
        # A broker that has just started compiles its own code for its first millions of ticks, at thrice the cost.
        warm = await end_to_end.measure(broker, file, size.ticks)
        say(0, runs, f"end to end, to warm up the broker: {warm.ticks_per_s:,.0f} ticks/s")
    for run in range(1, runs + 1):
        if "kernel_ns_per_tick" in names:
            measured.kernel_ns.append(kernel.measure(file, size.kernel_passes))
            say(run, runs, f"kernel: {measured.kernel_ns[-1]:.1f} ns per tick")
        if "chain_ms" in names:
            measured.chain_ms.append(await chain_path.measure(broker, size.chain_passes))
            say(run, runs, f"a chain from the vendor's answer to Kafka: {measured.chain_ms[-1]:.2f} ms")
        if "chain_iv_ms" in names:
            measured.chain_iv_ms.append(chain_volatility.measure(size.chain_passes))
            say(run, runs, f"forward, volatilities and greeks of a chain: {measured.chain_iv_ms[-1]:.2f} ms")
        if "chain_assembler_quotes_per_s" in names:
            measured.chain_assembler_quotes_per_s.append(chain_assembly.measure(size.assembled_s))
            say(run, runs, f"live chains: {measured.chain_assembler_quotes_per_s[-1]:,.0f} quotes/s")
        if names & (_RATES | _MEMORY):
            whole = await end_to_end.measure(broker, file, size.ticks)
            measured.end_to_end.append(whole)
            cpu = ", ".join(f"{name} {ns:.0f}" for name, ns in whole.cpu_ns.items())
            memory = ", ".join(f"{name} {mb:.0f}" for name, mb in whole.rss_mb.items())
            say(run, runs, f"end to end: {whole.ticks:,} ticks, {whole.rows:,} rows, {whole.ticks_per_s:,.0f} ticks/s")
            say(run, runs, f"end to end: CPU ns per tick: {cpu}; resident MB: {memory}")
        if "share_of_raw_limit" in names:
            measured.raw_ticks_per_s.append(await end_to_end.measure_raw_limit(broker, file, size.ticks))
            say(run, runs, f"raw limit: {measured.raw_ticks_per_s[-1]:,.0f} ticks/s")
        if "against_faust_per_message" in names:
            measured.faust_ticks_per_s.append(await per_message.measure_faust(broker, file, size.messages))
            say(run, runs, f"plain Faust: {measured.faust_ticks_per_s[-1]:,.0f} ticks/s")
        for name in [name for name in _QUIXSTREAMS if name in names]:
            same = name == "against_quixstreams"
            ticks_per_s = await per_message.measure_quixstreams(broker, file, size.messages, same=same)
            measured.quixstreams_ticks_per_s[name].append(ticks_per_s)
            say(run, runs, f"Quix Streams, {_QUIXSTREAMS[name]}: {ticks_per_s:,.0f} ticks/s")
        if "tick_to_row_p99_ms" in names:
            measured.latency.append(await latency.measure(broker, size.live_s))
            seen = measured.latency[-1]
            say(
                run,
                runs,
                f"latency at {seen.ticks_per_s:,.0f} ticks/s: p50 {seen.p50_ms:.1f}, p99 {seen.p99_ms:.1f} ms",
            )
        if "databento_records_per_s" in names:
            measured.databento.append(await databento_live.measure(size.live_records))
            feed = measured.databento[-1]
            say(
                run, runs, f"Databento, live: {feed.records_per_s:,.0f} records/s, CPU ns per record: {feed.cpu_ns:.0f}"
            )
        if "first_tick_after_outage_ms" in names:
            seen_outages = await outage.measure(broker, size.outages_s)
            measured.outages += seen_outages
            told = ", ".join(f"{each.first_tick_ms:.0f} ms after {each.seconds:g} s" for each in seen_outages)
            say(run, runs, f"first live tick after outages: {told}")
        if names & _WATCHDOG:
            measured.watchdog.append(await watchdog_cost.measure(broker, size.watched_s))
            cost = measured.watchdog[-1]
            say(run, runs, f"watchdog: {cost.cpu_percent:.1f} % of a core, {cost.rss_mb:.0f} MB")
    return measured


def figures(measured: Measured, file: ticks_file.TicksFile, size: Size, names: AbstractSet[str]) -> list[Figure]:
    """Return the named figures, in the order of their targets."""
    made: list[Figure] = []
    rate = median(run.ticks_per_s for run in measured.end_to_end) if measured.end_to_end else 0.0
    passes = file.passes(size.ticks)

    def add(name: str, value: float, digits: int, against: str) -> None:
        if name in names:
            made.append(Figure(name, round(value, digits) if digits else round(value), against))

    if measured.end_to_end:
        add("end_to_end_ticks_per_s", rate, 0, f"{file.says}, {passes} times: {passes * file.ticks:,} ticks")
    others = {"against_faust_per_message": ("plain Faust", "simpler metrics", measured.faust_ticks_per_s)}
    for name, metrics in _QUIXSTREAMS.items():
        others[name] = "Quix Streams", metrics, measured.quixstreams_ticks_per_s[name]
    for name, (what, metrics, rates) in others.items():
        if rates:
            other = median(rates)
            add(name, rate / other, 1, f"{what}, one JSON tick per message, {metrics}: {other:,.0f} ticks/s")
    if measured.raw_ticks_per_s:
        raw = median(measured.raw_ticks_per_s)
        add(
            "share_of_raw_limit",
            rate / raw,
            3,
            f"librdkafka, same decoder and kernels, nothing sent: {raw:,.0f} ticks/s",
        )
    if measured.databento:
        rates = [run.records_per_s for run in measured.databento]
        cpu_ns, mb = (median(getattr(run, name) for run in measured.databento) for name in ("cpu_ns", "growth_mb"))
        costs = f"{cpu_ns:.0f} ns of CPU each, {mb:+.1f} MB"
        add("databento_records_per_s", median(rates), 0, f"{size.live_records:,} MBO records into frames: {costs}")
    if measured.outages:
        brief = sorted(each.first_tick_ms for each in measured.outages if each.seconds <= 1.0)
        long = [each for each in measured.outages if each.seconds > 1.0]
        beside = f"; after {long[0].seconds:g} s: {median(each.first_tick_ms for each in long):.0f} ms" if long else ""
        says = (
            f"largest of {len(brief)} outages of 1 s, from its end to the tape; median {median(brief):.0f} ms{beside}"
        )
        add("first_tick_after_outage_ms", brief[-1], 0, says)
    if measured.kernel_ns:
        add("kernel_ns_per_tick", median(measured.kernel_ns), 1, f"{file.says}, one core")
    if measured.chain_ms:
        says = f"{chain_path.CONTRACTS} contracts: read, forward, quality rules, message to Kafka's client; one core"
        add("chain_ms", median(measured.chain_ms), 2, says)
    if measured.chain_iv_ms:
        says = f"{chain_volatility.CONTRACTS} contracts: forward, volatilities of bid, middle and ask, greeks; one core"
        add("chain_iv_ms", median(measured.chain_iv_ms), 2, says)
    if measured.chain_assembler_quotes_per_s:
        market = f"{chain_assembly.CONTRACTS:,} contracts of {chain_assembly.EXPIRIES} expiries"
        says = f"{market}, frames in, each changed chain out once a second of the tape; CPU time of one core"
        add("chain_assembler_quotes_per_s", median(measured.chain_assembler_quotes_per_s), 0, says)
    if measured.latency:
        seen = sorted(measured.latency, key=lambda run: run.p99_ms)[len(measured.latency) // 2]
        live = f"the synthetic market at {seen.ticks_per_s:,.0f} ticks/s, {size.live_s:g} s, {seen.rows:,} rows"
        add(
            "tick_to_row_p99_ms",
            middle([run.p99_ms for run in measured.latency], 1),
            1,
            f"{live}; p50 {seen.p50_ms:.1f}",
        )
    if measured.end_to_end:
        for name, values in (
            ("rss_mb", [run.rss_mb for run in measured.end_to_end]),
            ("rss_growth_mb", [run.growth_mb for run in measured.end_to_end]),
        ):
            services = {service: middle([value[service] for value in values], 1) for service in values[0]}
            worst = max(services.values())
            add(name, worst, 1, ", ".join(f"{service} {mb:g}" for service, mb in services.items()))
    if measured.watchdog:
        says = (
            f"{watchdog_cost.GROUPS} groups of {watchdog_cost.PARTITIONS} partitions, {watchdog_cost.STREAMS} streams"
            f" that beat each second, {size.watched_s:g} s, default settings"
        )
        add("watchdog_cpu_percent", median(cost.cpu_percent for cost in measured.watchdog), 1, f"of a core; {says}")
        add("watchdog_rss_mb", median(cost.rss_mb for cost in measured.watchdog), 1, says)
    return made


def notes(measured: Measured, runs: int) -> list[str]:
    """Return the footnotes: how the figures were measured."""
    said = [
        f"medians of {runs} runs; broker, producer and processor share {len(os.sched_getaffinity(0))} cores; default "
        "settings, checkpoints and windows on",
        "end to end: `tapeline replay FILE --passes N` and the processor at once, from the broker's time of the first "
        "frame to that of the last row",
        "plain Faust and Quix Streams: a topic filled before, start and producer not counted, state in plain Python",
        "simpler metrics: top-of-book imbalance and volumes; every metric: Tapeline's rows, field by field, as checked "
        "before",
        "tick to row: from the arrival of the first tick of the frame that closes a window to the broker's time of its "
        "row",
        "Databento: client, normalisation, framing and encoding on one core, without Kafka; another process sends",
        "memory: largest VmRSS; growth: median of a run's last third less its first third's, once queues could fill",
    ]
    if measured.end_to_end:
        last = measured.end_to_end
        cpu = {name: median(run.cpu_ns[name] for run in last) for name in last[0].cpu_ns}
        said.append("CPU end to end, ns per tick: " + ", ".join(f"{name} {ns:.0f}" for name, ns in cpu.items()))
    return said


def say(run: int, runs: int, text: str) -> None:
    """Show progress."""
    sys.stderr.write(f"bench: {run}/{runs} {text}\n")
    sys.stderr.flush()


@contextmanager
def _alone() -> Iterator[None]:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Retryable(f"another run holds {FOLDER}; two at once would measure each other") from None
        yield


async def _until_terminated(work: asyncio.Task[Measured]) -> Measured:
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    return await work


def main() -> int:
    """Run the measurements; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[2])
    parser.add_argument("--only", action="append", choices=TARGETS, metavar="NAME", help="this figure; may be repeated")
    parser.add_argument("--runs", type=int, default=3, help="runs of which each figure is the median")
    parser.add_argument("--quick", action="store_true", help="a tenth of the size, once: to see that it works")
    arguments = parser.parse_args()
    size, runs = (QUICK, 1) if arguments.quick else (FULL, max(1, arguments.runs))
    names = set(arguments.only or TARGETS)
    began_s = time.monotonic()
    # A user's settings would make other figures, and more cores would as well.
    for setting in [name for name in os.environ if name.startswith("TAPELINE_") and name not in _KEPT_SETTINGS]:
        del os.environ[setting]
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    try:
        with _alone(), any_broker() as broker:
            file = ticks_file.find(FOLDER)

            async def work() -> Measured:
                return await _until_terminated(asyncio.create_task(measure(broker, file, size, runs, names)))

            measured = asyncio.run(work())
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.stderr.write("bench: stopped\n")
        return 1
    except (TapelineError, TimeoutError, RuntimeError) as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    found = figures(measured, file, size, names)
    path = state_folder() / "bench.json"
    write(found, path)
    show(found, notes(measured, runs))
    sys.stderr.write(f"bench: wrote {path} after {time.monotonic() - began_s:.0f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
