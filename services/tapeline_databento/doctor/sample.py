"""A few seconds of the live feed, taken as the producer takes it, over one connection; nothing is published."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from tapeline.errors import BadData, TapelineError
from tapeline.feed.calendar import calendar_of
from tapeline.feed.dbn_decoder import DbnBatch, Decoded, OtherRecords
from tapeline.feed.dbn_records import RTYPE_ERROR, RTYPE_SYMBOL_MAPPING, RTYPE_SYSTEM
from tapeline.feed.framer import FrameLimits, Framer, SessionIdentity, Ticks
from tapeline.feed.source import Pair
from tapeline.model.columns import F_BAD_TS_RECV, F_SNAPSHOT
from tapeline.model.frames import TickFrame
from tapeline_databento.client import connect
from tapeline_databento.doctor.clock import ClockBounds
from tapeline_databento.errors import Undecodable
from tapeline_databento.messages import Fault, ending, error_messages, system_messages
from tapeline_databento.normalize import InstrumentClasses, Normalizer
from tapeline_databento.plan import LinePlan
from tapeline_databento.session import SOURCE
from tapeline_databento.settings import DatabentoSettings
from tapeline_databento.subscriptions import parse_subscriptions

Latencies = npt.NDArray[np.int64]

LINE: Final = "doctor"
MOST_TICKS_KEPT: Final = 1_000_000
"""Frames are kept for pressure until they hold so many ticks; what comes after is only counted."""


@dataclass(slots=True)
class LiveSample:
    """What came of the subscriptions of `plan`. `fault`: what ended the session before its time."""

    plan: LinePlan
    seconds: float = 0.0
    """How long it was listened."""
    messages: int = 0
    """How many messages of the gateway itself came."""
    ticks: Counter[Pair] = field(default_factory=Counter)
    """Ticks but those of snapshots."""
    snapshot_ticks: Counter[Pair] = field(default_factory=Counter)
    latencies_ns: dict[Pair, list[Latencies]] = field(default_factory=dict)
    """From venue to arrival, of ticks but those of snapshots."""
    instruments: dict[str, int] = field(default_factory=dict)
    """Per stream, how many instruments were mapped to it."""
    unresolved: list[str] = field(default_factory=list)
    """What the gateway said of symbols that it does not know."""
    complaints: list[str] = field(default_factory=list)
    frames: list[TickFrame] = field(default_factory=list)
    clock: ClockBounds = field(default_factory=ClockBounds)
    fault: TapelineError | None = None

    def latency_ms(self, pair: Pair) -> tuple[float, float] | None:
        """Return the 50th and 99th percentile of a pair's latencies (ms), None where there are none."""
        if not any(len(part) for part in self.latencies_ns.get(pair, ())):
            return None
        p50, p99 = np.percentile(np.concatenate(self.latencies_ns[pair]), (50, 99)) / 1e6
        return float(p50), float(p99)


async def handshake(settings: DatabentoSettings) -> None:
    """Connect, authenticate for the dataset, and leave. Raises as `client.connect`."""
    protocol = await connect(settings, LINE)
    protocol.transport.abort()


async def take_sample(settings: DatabentoSettings, seconds: float, clock_ns: Callable[[], int]) -> LiveSample:
    """Return what comes of all subscriptions within so many seconds. `clock_ns` is this computer's time.

    Definitions are live ones only: the week's would be many. Raises as `client.connect`.
    """
    sampler = _Sampler(settings, clock_ns)
    loop = asyncio.get_running_loop()
    protocol = await connect(settings, LINE)
    began_s = loop.time()
    try:
        for request in sampler.sample.plan.requests({}):
            protocol.request(
                request.schema, request.symbols, request.symbol_type, start_ns=None, snapshot=request.snapshot
            )
        protocol.start()
        async with asyncio.timeout(seconds), aclosing(protocol.decoded()) as decoded:
            async for each in decoded:
                sampler.take(each)
    except TimeoutError:
        pass  # the time is over
    except BadData as error:
        sampler.sample.fault = Undecodable(f"{LINE}: {error}")
    except TapelineError as error:
        sampler.sample.fault = error
    finally:
        protocol.transport.abort()
    return sampler.finish(loop.time() - began_s)


class _Sampler:
    def __init__(self, settings: DatabentoSettings, clock_ns: Callable[[], int]) -> None:
        plan = LinePlan(LINE, settings.dataset, parse_subscriptions(settings.subscriptions))
        self.sample = LiveSample(plan)
        self._clock_ns = clock_ns
        self._asked_ns = clock_ns()
        self._normalizer = Normalizer(plan.dataset, plan.routes, InstrumentClasses(plan.dataset))
        self._calendar = calendar_of(plan.dataset)
        self._framers: dict[Pair, Framer] = {}
        self._kept = 0

    def take(self, decoded: Decoded) -> None:
        """Take what came. Raises what ends the session."""
        now_ns = self._clock_ns()
        match decoded:
            case DbnBatch():
                if "flags" not in decoded.columns or not decoded.columns["flags"][-1] & F_BAD_TS_RECV:
                    self.sample.clock.arrived(int(decoded.columns["ts_recv"][-1]), now_ns)
                for ticks in self._normalizer.ticks(decoded, {}):
                    self._ticks(ticks, now_ns)
            case OtherRecords(rtype=rtype, records=records) if rtype == RTYPE_SYMBOL_MAPPING:
                self._normalizer.learn(records)
            case OtherRecords(rtype=rtype, records=records) if rtype == RTYPE_SYSTEM:
                for message in system_messages(records):
                    self.sample.messages += 1
                    self.sample.clock.answered(message.at_ns, self._asked_ns, now_ns)
            case OtherRecords(rtype=rtype, records=records) if rtype == RTYPE_ERROR:
                for message in error_messages(records):
                    self.sample.messages += 1
                    end = ending(message, LINE)
                    if end is not None:
                        raise end
                    is_symbol = message.code == Fault.SYMBOL_RESOLUTION_FAILED
                    (self.sample.unresolved if is_symbol else self.sample.complaints).append(message.text)

    def _ticks(self, ticks: Ticks, now_ns: int) -> None:
        pair, sample = (ticks.stream, ticks.kind), self.sample
        live = np.ones(len(ticks), dtype=np.bool_)
        if "flags" in ticks.columns:
            live = (ticks.columns["flags"] & F_SNAPSHOT) == 0
        count = int(np.count_nonzero(live))
        sample.snapshot_ticks[pair] += len(ticks) - count
        sample.ticks[pair] += count
        times = ticks.columns["ts_event"]
        sample.latencies_ns.setdefault(pair, []).append(now_ns - times[live & (times != 0)])
        if self._kept < MOST_TICKS_KEPT:
            self._kept += len(ticks)
            sample.frames += self._framer(pair).add(ticks, now_ns)

    def _framer(self, pair: Pair) -> Framer:
        if pair not in self._framers:
            identity = SessionIdentity(SOURCE, LINE, 1, "live")
            self._framers[pair] = Framer(identity, FrameLimits(), self._calendar)
        return self._framers[pair]

    def finish(self, seconds: float) -> LiveSample:
        """Return the sample, after so many seconds."""
        now_ns = self._clock_ns()
        for framer in self._framers.values():
            self.sample.frames += framer.finish(now_ns)
        streams = {each.stream(self.sample.plan.dataset) for each in self.sample.plan.subscriptions if each.kind}
        self.sample.instruments = {stream: len(self._normalizer.ids_of(stream)) for stream in sorted(streams)}
        self.sample.seconds = seconds
        return self.sample


def symbols_of(plan: LinePlan) -> Sequence[str]:
    """Return the symbols that are subscribed to, each once."""
    return list(dict.fromkeys(each.symbol for each in plan.subscriptions))
