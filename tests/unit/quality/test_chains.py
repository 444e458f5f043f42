"""All rules over a whole chain: what is planted is found and nothing else, it is told in full, and it costs little."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from tests.unit.quality.chain_builders import AS_OF, LIMITS, chain_of, check, on_surface, raised, short, with_columns

from tapeline.model.chain_quality import decode_chain_quality, encode_chain_quality
from tapeline.model.chains import Chain, UnderlyingPrice, flag_bit
from tapeline.orderflow.volatility import with_volatility
from tapeline.quality.chains import RULES, check_calendar, check_chain
from tapeline_simulator.surface import INTEREST_RATE


@cache
def whole(days: float = 7.0) -> Chain:
    """Return a chain of 602 contracts with all that a chain may have: calls at 0 to 300, puts at 301 to 601."""
    chain = replace(on_surface(step=10.0, days=days), underlying_price=UnderlyingPrice(25_000 * 10**9, "quote", AS_OF))
    return with_volatility(chain, rate=INTEREST_RATE)


def row(name: str) -> int:
    return short(tuple(whole().symbols())).index(name)


def requoted(name: str, by: float, days: float = 7.0) -> Chain:
    """Return the chain with one quote moved by so many points; volatilities stay those of before."""
    columns = {side: whole(days).contracts.columns[side].copy() for side in ("bid", "ask")}
    for column in columns.values():
        column[row(name)] += round(by * 1e9)
    return with_columns(whole(days), **columns)


def changed(name: str, symbol: str, value: float) -> Chain:
    column = whole().contracts.columns[name].copy()
    column[row(symbol)] = value
    return with_columns(whole(), **{name: column})


def some(rows: np.ndarray) -> Chain:
    contracts = whole().contracts
    kept = replace(
        contracts,
        strike=contracts.strike[rows],
        is_call=contracts.is_call[rows],
        vendor_symbols=tuple(f"Y{number}" for number in range(len(rows))),
        columns={name: column[rows] for name, column in contracts.columns.items()},
        flags=contracts.flags[rows],
    )
    return replace(whole(), contracts=kept)


EVERY = np.arange(602)


def test_a_whole_chain_is_clean_and_everything_has_been_looked_at() -> None:
    report = check(whole())
    assert raised(report) == {}
    assert not report.flags.any()
    assert (report.verdict.errors, report.verdict.warnings, dict(report.verdict.rules)) == (0, 0, {})
    assert set(report.not_checked) == {"36_calendar"}


@pytest.mark.parametrize(
    ("fault", "severity", "contracts"),
    [
        # the last page never came; one side never came; a page came twice
        (lambda: some(EVERY[(EVERY % 301) < 200]), {"30_completeness": "error"}, None),
        (lambda: some(EVERY[:301]), {"30_completeness": "error", "31_pairing": "warning"}, None),
        (lambda: some(np.concatenate([EVERY, EVERY[100:110]])), {"32_duplicates": "error"}, None),
        # hours to go, far in the money: offered 0.28 below what exercise is worth
        (lambda: requoted("C23500", -0.8, days=0.3), {"33_bounds": "warning"}, ["C23500"]),
        # the farthest strike dearer than the one before, which no wings are far enough to show
        (lambda: requoted("C26500", 2.0), {"34_vertical": "warning", "37_parity": "warning"}, ["C26490", "C26500"]),
        # 1.60 too dear: the neighbours' asks are 0.30 above their worth, its own bid 1.30
        (
            lambda: requoted("C25500", 1.6),
            {"35_butterfly": "warning", "37_parity": "warning"},
            ["C25490", "C25500", "C25510"],
        ),
        (lambda: changed("iv_mid", "C25500", 21.5), {"38_iv": "warning"}, ["C25500"]),
        (lambda: changed("gamma", "P24500", -1e-6), {"39_greeks": "warning"}, ["P24500"]),
        (lambda: replace(whole(), expiry=AS_OF), {"40_expiry": "error"}, None),
        (
            lambda: replace(whole(), underlying_price=UnderlyingPrice(25_000 * 10**9, "quote", AS_OF - 10**10)),
            {"41_underlying": "warning"},
            None,
        ),
    ],
)
def test_a_planted_fault_is_found_and_nothing_that_it_does_not_explain(
    fault: Callable[[], Chain], severity: dict[str, str], contracts: list[str] | None
) -> None:
    found = raised(check(fault()))
    assert {rule: finding.severity for rule, finding in found.items()} == severity
    if contracts is not None:
        assert short(found[min(severity)].contracts) == contracts


def test_nothing_is_taken_away_or_changed() -> None:
    chain = requoted("C26500", 2.0)
    before = {name: column.copy() for name, column in chain.contracts.columns.items()}
    report = check(chain)
    assert len(report.flags) == len(chain.contracts)
    assert not chain.contracts.flags.any()
    assert all(np.array_equal(column, before[name], equal_nan=True) for name, column in chain.contracts.columns.items())
    assert report.flags[row("C26500")] == flag_bit("vertical") | flag_bit("parity")


def test_what_was_found_goes_onto_the_tape_and_comes_back() -> None:
    chain = replace(requoted("C26500", 2.0), expected=700, mode="cache", vendor="someone")
    report = check(chain)
    event = report.event(chain, AS_OF + 5)
    assert decode_chain_quality(encode_chain_quality(event)) == event
    assert (event.key, event.source, event.vendor, event.mode) == (chain.key, "databento", "someone", "cache")
    assert (event.as_of, event.at, event.verdict) == (AS_OF, AS_OF + 5, report.verdict)
    assert [finding.rule for finding in event.findings] == [
        "30_completeness",
        "30_completeness",
        "34_vertical",
        "37_parity",
    ]
    assert dict(event.verdict.rules) == {"30_completeness": 98, "34_vertical": 2, "37_parity": 2}
    assert (event.verdict.errors, event.verdict.warnings) == (1, 2)


def test_however_much_is_wrong_what_is_told_has_an_end() -> None:
    random = np.random.default_rng(3)
    contracts = whole().contracts
    bid, ask = random.uniform(1, 500, 602), random.uniform(1, 500, 602)
    chaos = chain_of(
        contracts.strike / 1e9,
        contracts.is_call,
        np.minimum(bid, ask),
        np.maximum(bid, ask),
        days=7,
        forward=whole().forward,
        rate=INTEREST_RATE,
    )
    report = check(chaos)
    assert {"33_bounds", "34_vertical", "35_butterfly", "37_parity"} <= set(raised(report))
    assert all(np.diff([-case.numbers["gain"] for case in raised(report)["34_vertical"].evidence]) >= 0)
    assert len(encode_chain_quality(report.event(chaos, AS_OF))) < 64_000


def test_every_rule_has_been_planted() -> None:
    planted = {
        rule
        for mark in test_a_planted_fault_is_found_and_nothing_that_it_does_not_explain.pytestmark
        for case in mark.args[1]
        for rule in case[1]
    }
    assert planted == {*RULES} - {"36_calendar"}  # needs a second chain


def test_600_contracts_are_checked_in_a_millisecond_and_a_half() -> None:
    chain = whole()
    taken_s = []
    for _ in range(40):
        begun_s = time.thread_time()
        check_chain(chain, at_ns=AS_OF, limits=LIMITS)
        taken_s.append(time.thread_time() - begun_s)
    assert min(taken_s) <= 1.5e-3


def test_ten_expiries_are_compared_in_a_few_milliseconds() -> None:
    chains = [replace(on_surface(step=10.0, days=days), underlying="NQZ6") for days in range(1, 11)]
    taken_s = []
    for _ in range(5):
        begun_s = time.thread_time()
        check_calendar(chains, at_ns=AS_OF, limits=LIMITS)
        taken_s.append(time.thread_time() - begun_s)
    assert min(taken_s) <= 15e-3
