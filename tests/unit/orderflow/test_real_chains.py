"""Forward and volatilities of real NQ chains are sane. The expiries are those that the exchange's rules give."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from tests.unit.orderflow.chains import core_api_chain

from tapeline.orderflow.forward import with_forward
from tapeline.orderflow.volatility import with_volatility

RATE = 0.0433
"""About what the Federal Reserve paid in June 2025."""

CHAINS = {
    "20250608_barchart_api_MC7M25_223218.json": ("2025-06-09T03:20", "2025-06-09T20:00"),
    "20250610_barchart_api_MC2M25_074943.json": ("2025-06-10T12:40", "2025-06-11T20:00"),
    "20250610_barchart_api_MC2M25_213417.json": ("2025-06-11T02:20", "2025-06-11T20:00"),
    "20250612_barchart_api_MC4M25_072059.json": ("2025-06-12T12:10", "2025-06-25T20:00"),
    "20250612_barchart_api_MC4M25_155746.json": ("2025-06-12T20:45", "2025-06-25T20:00"),
    "20250612_barchart_api_MC4M25_233909.json": ("2025-06-13T04:25", "2025-06-25T20:00"),
    "20250625_barchart_api_MC6N5_142402.json": ("2025-06-25T19:10", "2025-07-07T20:00"),
}


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


@pytest.mark.parametrize("name", CHAINS)
def test_a_real_chain_has_a_forward_and_a_smile(name: str, real_data: Path) -> None:
    as_of, expiry = map(ns, CHAINS[name])
    chain = core_api_chain((real_data / "barchart" / name).read_bytes(), expiry, as_of)
    chain = with_volatility(with_forward(chain, rate=RATE, future=None), rate=RATE)
    assert chain.forward is not None
    assert chain.forward.pairs == 15
    assert chain.forward.deviation is not None
    assert chain.forward.deviation < 1.6
    assert not chain.contracts.flags.any()
    columns, contracts = chain.contracts.columns, chain.contracts
    moneyness = np.log(contracts.strike / 1e9 / chain.forward.value)
    at_the_money = np.nanmedian(columns["iv_mid"][np.abs(moneyness) < 0.01])
    assert 0.1 < at_the_money < 0.4
    solved = ~np.isnan(columns["iv_bid"])
    assert (columns["iv_bid"][solved] <= columns["iv_mid"][solved]).all()
    assert (columns["iv_mid"][solved] <= columns["iv_ask"][solved]).all()
    below, above = (np.nanmedian(columns["iv_mid"][(side > 0.01) & (side < 0.025)]) for side in (-moneyness, moneyness))
    assert below > above * 1.04  # puts are dearer
    near = solved & (np.abs(moneyness) < 0.02)
    assert np.count_nonzero(near) > 15
    order = np.argsort(moneyness[near])
    assert np.abs(np.diff(columns["iv_mid"][near][order])).max() < 0.02  # one curve, not two
    assert np.nanmax(np.abs(columns["delta"])) <= 1


def test_an_expired_real_chain_has_neither(real_data: Path) -> None:
    payload = (real_data / "barchart" / "20250602T141553PDT_MC6M25_expired.json").read_bytes()
    chain = core_api_chain(payload, ns("2025-06-02T20:00"), ns("2025-06-02T21:15"))
    chain = with_volatility(with_forward(chain, rate=RATE, future=None), rate=RATE)
    assert chain.forward is None
    assert (chain.flags, chain.computed) == (("expired",), ())
