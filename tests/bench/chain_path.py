"""The cost of a chain from a vendor's answer to Kafka: read, forward, quality rules, message."""

from __future__ import annotations

import time
from decimal import Decimal
from statistics import median

import numpy as np
from broker import Broker, fresh_namespace

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.publisher import Publisher
from tapeline.feed.barchart.payload import parse_chain
from tapeline.feed.barchart.series import series_from_code
from tapeline.model.chain_codec import encode_chain
from tapeline.model.chains import chain_topic
from tapeline.orderflow.forward import with_forward
from tapeline.quality.chains import ChainLimits, check_chain
from tapeline_simulator.barchart.market import OptionRow, Quote
from tapeline_simulator.barchart.payload import Question, chain_answer, encode
from tapeline_simulator.surface import INTEREST_RATE, option_values

CONTRACTS = 600
_SERIES = "MC5Z26"
_NOW_NS = 1_798_473_600 * 10**9
_FUTURE = 25_000.0
_STEP = 10
_SETTLED_S = 1_798_416_000
_DELIVERY_S = 30.0


async def measure(broker: Broker, passes: int) -> float:
    """Return the ms from the bytes of an answer of CONTRACTS contracts until Kafka's client has taken the message.

    The figure is the median pass, without volatilities and without waiting for the broker.
    """
    payload, series = _payload(), series_from_code(_SERIES, _NOW_NS)
    limits = ChainLimits()
    costs_ms = []
    with fresh_namespace(broker):
        publisher = Publisher(broker.servers, "bench")
        try:
            for _ in range(passes + 1):
                began_ns = time.perf_counter_ns()
                read = parse_chain(
                    payload, series, source="barchart", mode="live", fetched_at=_NOW_NS, published_at=_NOW_NS
                )
                chain = with_forward(read, rate=INTEREST_RATE, future=None)
                report = check_chain(chain, at_ns=_NOW_NS, limits=limits)
                await publisher.publish(namespaced(chain_topic("barchart")), chain.key, encode_chain(chain))
                costs_ms.append((time.perf_counter_ns() - began_ns) / 1e6)
                if report.verdict.errors or len(chain.contracts) != CONTRACTS or chain.forward is None:
                    raise RuntimeError(f"the chain is not what was written: {report.verdict}, {len(chain.contracts)}")
                await publisher.delivered(_DELIVERY_S)
        finally:
            await publisher.close(0.0)
    return median(costs_ms[1:])


def _payload() -> bytes:
    """Return an answer as the vendor writes it, quoted around the simulator's surface; four in five are settlements."""
    offsets = np.arange(CONTRACTS // 2) - CONTRACTS // 4
    strikes = np.tile(_FUTURE + _STEP * offsets, 2)
    is_call = np.arange(CONTRACTS) < CONTRACTS // 2
    years = (series_from_code(_SERIES, _NOW_NS).expiry - _NOW_NS) / 1e9 / 86_400 / 365
    every = np.ones(CONTRACTS)
    values, vegas = option_values(_FUTURE * every, strikes, years * every, is_call)
    half_spreads = 0.5 + 0.001 * vegas + 0.0008 * values
    rows = [
        _row(number, int(strike), bool(right), value, half)
        for number, (strike, right, value, half) in enumerate(
            zip(strikes.tolist(), is_call.tolist(), values.tolist(), half_spreads.tolist(), strict=True)
        )
    ]
    question = Question(group_by="optionType", order_by="strike", with_raw=True, meta=("field.shortName",))
    return encode(chain_answer(rows, question))


def _row(number: int, strike: int, is_call: bool, value: float, half_spread: float) -> OptionRow:
    last = _on_tick(value)
    is_settlement = number % 5 > 0
    return OptionRow(
        symbol=f"{_SERIES[:-2]}{_SERIES[-1]}|{strike}{'C' if is_call else 'P'}",
        strike_points=strike,
        is_call=is_call,
        quote=Quote(
            high=last,
            low=last,
            last=last,
            is_settlement=is_settlement,
            change=Decimal("-3.25"),
            bid=_on_tick(max(value - half_spread, 0.05)),
            ask=_on_tick(value + half_spread),
            volume=None if is_settlement else number,
            open_interest=number,
            trade_time="12/27/26" if is_settlement else "09:58 CT",
            traded_s=_SETTLED_S if is_settlement else _NOW_NS // 10**9 - 120,
        ),
    )


def _on_tick(points: float) -> Decimal:
    tick = Decimal("0.05") if points <= 5 else Decimal("0.25")
    return max(round(points / float(tick)), 1) * tick
