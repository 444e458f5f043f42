"""The cost of a chain's forward, implied volatilities and greeks."""

from __future__ import annotations

import time
from statistics import median

import numpy as np

from tapeline.model.chains import Chain, Contracts
from tapeline.orderflow.forward import with_forward
from tapeline.orderflow.volatility import with_volatility
from tapeline_simulator.surface import INTEREST_RATE, option_values

CONTRACTS = 600
_FUTURE = 25_000.0
_STEP = 10.0
_DAYS = 7
_DAY_NS = 86_400 * 10**9
_NOW_NS = 1_795_446_000 * 10**9


def measure(passes: int) -> float:
    """Return the ms that `with_forward` and `with_volatility` take for CONTRACTS contracts, all quoted on both sides.

    The figure is the median pass, after one that loads QuantLib.
    """
    chain = _chain()
    costs_ms = []
    for _ in range(passes + 1):
        began_ns = time.perf_counter_ns()
        found = with_volatility(with_forward(chain, rate=INTEREST_RATE, future=None), rate=INTEREST_RATE)
        costs_ms.append((time.perf_counter_ns() - began_ns) / 1e6)
        if np.isnan(found.contracts.columns["delta"]).any():
            raise RuntimeError("contracts were left without a volatility")
    return median(costs_ms[1:])


def _chain() -> Chain:
    """Return a chain quoted around the simulator's surface, as wide as its market makers quote."""
    offsets = np.arange(CONTRACTS // 2) - CONTRACTS // 4
    strikes = np.tile(_FUTURE + _STEP * offsets, 2)
    is_call = np.arange(CONTRACTS) < CONTRACTS // 2
    every = np.ones(CONTRACTS)
    values, vegas = option_values(_FUTURE * every, strikes, _DAYS / 365 * every, is_call)
    half_spreads = np.minimum(0.03 + 0.001 * vegas + 0.0008 * values, values / 2)
    columns = {"bid": np.rint((values - half_spreads) * 1e9), "ask": np.rint((values + half_spreads) * 1e9)}
    contracts = Contracts(
        strike=(strikes * 1e9).astype(np.int64),
        is_call=is_call,
        vendor_symbols=tuple(f"contract {number}" for number in range(CONTRACTS)),
        columns={name: column.astype(np.int64) for name, column in columns.items()},
        flags=np.zeros(CONTRACTS, dtype=np.uint32),
    )
    return Chain(
        source="databento",
        vendor="databento",
        underlying="NQZ6",
        expiry=_NOW_NS + _DAYS * _DAY_NS,
        series=None,
        vendor_series=None,
        style="european",
        settlement_method=None,
        multiplier=None,
        currency=None,
        mode="live",
        as_of=_NOW_NS,
        fetched_at=_NOW_NS,
        published_at=_NOW_NS,
        delay_s=0.0,
        underlying_price=None,
        expected=None,
        expected_from=None,
        complete=None,
        contracts=contracts,
    )
