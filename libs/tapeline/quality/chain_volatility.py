"""Rules 38 and 39: are implied volatilities and greeks possible, and does the vendor agree with us. Pure."""

from __future__ import annotations

from typing import Final

import numpy as np

from tapeline.model.chain_quality import MOST_EVIDENCE
from tapeline.quality.chain_findings import GREEKS, VOLATILITY, Case, Findings
from tapeline.quality.chain_subject import EXPIRED, Bools, Floats, Subject

_OWN_AND_VENDOR: Final = ("", "vendor_")
_VOLATILITIES: Final = ("iv_bid", "iv_mid", "iv_ask", "vendor_iv")
_DIFFERENCE: Final = 1e-9
"""Volatilities that far apart are the same: what solving for them leaves over."""


def check_volatility(subject: Subject, found: Findings) -> None:
    """Rule 38: a quote's price has a volatility, it is sane, and the ask's is not below the bid's.

    Where bids are above asks, so are their volatilities, and no forward is needed to see it. A quote has no volatility
    where ours was computed for its neighbours and not for it, out of the money.
    """
    crossed = np.flatnonzero(subject.is_crossed)
    if len(crossed):
        cases: list[Case] = [
            ([row], {"bid": subject.bid[row], "ask": subject.ask[row]}) for row in crossed[:MOST_EVIDENCE].tolist()
        ]
        found.add(VOLATILITY, "warning", "bid above ask", crossed, flag="iv", cases=cases)
    columns = subject.chain.contracts.columns
    known = {name: columns[name] for name in _VOLATILITIES if name in columns and not np.isnan(columns[name]).all()}
    why = _too_late(subject) or ("" if known else "the chain has no implied volatilities")
    if why:
        found.leave(why, VOLATILITY)
        return
    _check_range(subject, known, found)
    _check_order(subject, found)
    _check_solved(subject, found)


def _check_range(subject: Subject, known: dict[str, Floats], found: Findings) -> None:
    limits = subject.limits
    for name, column in known.items():
        rows = np.flatnonzero((column <= limits.least_volatility) | (column >= limits.most_volatility))
        if len(rows):
            found.add(
                VOLATILITY,
                "warning",
                f"{name} outside {limits.least_volatility:g} to {limits.most_volatility:g}",
                rows,
                flag="iv",
                cases=[([row], {name: column[row]}) for row in rows[:MOST_EVIDENCE].tolist()],
            )


def _check_order(subject: Subject, found: Findings) -> None:
    columns = subject.chain.contracts.columns
    if "iv_bid" not in columns or "iv_ask" not in columns:
        return
    bid, ask = columns["iv_bid"], columns["iv_ask"]
    rows = np.flatnonzero((bid > ask + _DIFFERENCE) & ~subject.is_crossed)
    if len(rows):
        cases: list[Case] = [([row], {"iv_bid": bid[row], "iv_ask": ask[row]}) for row in rows[:MOST_EVIDENCE].tolist()]
        found.add(VOLATILITY, "warning", "volatility of the bid above that of the ask", rows, flag="iv", cases=cases)


def _check_solved(subject: Subject, found: Findings) -> None:
    chain = subject.chain
    columns = chain.contracts.columns
    if subject.forward is None or not {"iv_bid", "iv_ask"} <= set(chain.computed):
        return
    strike = chain.contracts.strike / 1e9
    is_outside = np.where(chain.contracts.is_call, strike >= subject.forward, strike <= subject.forward)
    is_unsolved = np.isnan(columns["iv_bid"]) | np.isnan(columns["iv_ask"])
    rows = np.flatnonzero(subject.is_two_sided & ~subject.is_crossed & is_outside & is_unsolved)
    if len(rows):
        cases: list[Case] = [
            ([row], {"bid": subject.bid[row], "ask": subject.ask[row], "forward": subject.forward})
            for row in rows[:MOST_EVIDENCE].tolist()
        ]
        found.add(VOLATILITY, "warning", "no volatility gives the quoted prices", rows, flag="iv", cases=cases)


def check_greeks(subject: Subject, found: Findings) -> None:
    """Rule 39: greeks are within their bounds, fit those of the strike's other contract, and the vendor's fit ours.

    On a future (Black 1976) a call's delta is from 0 to D, a put's from -D to 0, gamma and vega are not negative, and
    the deltas of a European call and put of one strike differ by D. D is the discount factor; 1 where exercise may come
    early, or no interest rate is known.
    """
    columns = subject.chain.contracts.columns
    is_there = any(
        not np.isnan(columns[prefix + name]).all()
        for prefix in _OWN_AND_VENDOR
        for name in ("delta", "gamma", "vega")
        if prefix + name in columns
    )
    why = _too_late(subject) or ("" if is_there else "the chain has no greeks")
    if why:
        found.leave(why, GREEKS)
        return
    for prefix in _OWN_AND_VENDOR:
        _check_bounds(subject, prefix, found)
        _check_pairs(subject, prefix, found)
    if "delta" in columns and "vendor_delta" in columns:
        difference = np.abs(columns["delta"] - columns["vendor_delta"])
        is_broken = difference > subject.limits.most_delta_difference
        numbers = {"delta": columns["delta"], "vendor_delta": columns["vendor_delta"]}
        _warn(found, "the vendor's delta differs from ours", is_broken, difference, numbers)


def _check_bounds(subject: Subject, prefix: str, found: Findings) -> None:
    columns = subject.chain.contracts.columns
    if f"{prefix}delta" in columns:
        delta = columns[f"{prefix}delta"]
        signed = np.where(subject.chain.contracts.is_call, delta, -delta)
        outside = np.maximum(-signed, signed - _most_delta(subject))
        is_broken = outside > subject.limits.delta_slack
        _warn(found, f"{prefix}delta outside its bounds", is_broken, outside, {f"{prefix}delta": delta})
    for name in (f"{prefix}gamma", f"{prefix}vega"):
        if name in columns:
            column = columns[name]
            _warn(found, f"{name} negative", column < 0.0, -column, {name: column})


def _check_pairs(subject: Subject, prefix: str, found: Findings) -> None:
    column = subject.chain.contracts.columns.get(f"{prefix}delta")
    if column is None or not subject.is_european:
        return
    of_calls, of_puts = subject.calls.rows[subject.pairs[0]], subject.puts.rows[subject.pairs[1]]
    wrong = np.abs(column[of_calls] - column[of_puts] - _most_delta(subject))
    broken = np.flatnonzero(wrong > subject.limits.most_delta_difference)
    if len(broken):
        broken = broken[np.argsort(-wrong[broken], kind="stable")]
        cases: list[Case] = [
            (
                [int(of_calls[i]), int(of_puts[i])],
                {"call": column[of_calls[i]], "put": column[of_puts[i]], "difference": _most_delta(subject)},
            )
            for i in broken[:MOST_EVIDENCE].tolist()
        ]
        rows = np.concatenate([of_calls[broken], of_puts[broken]])
        detail = f"{prefix}delta of call and put of a strike do not differ by the discount factor"
        found.add(GREEKS, "warning", detail, rows, flag="greeks", cases=cases)


def _most_delta(subject: Subject) -> float:
    return subject.discount if subject.is_european and subject.discount is not None else 1.0


def _warn(found: Findings, detail: str, is_broken: Bools, grave: Floats, numbers: dict[str, Floats]) -> None:
    rows = np.flatnonzero(is_broken)
    if len(rows):
        worst = rows[np.argsort(-grave[rows], kind="stable")][:MOST_EVIDENCE].tolist()
        cases: list[Case] = [([row], {name: column[row] for name, column in numbers.items()}) for row in worst]
        found.add(GREEKS, "warning", detail, rows, flag="greeks", cases=cases)


def _too_late(subject: Subject) -> str:
    """Return why volatilities and greeks say nothing any more, "" where they do."""
    if subject.is_expired:
        return EXPIRED
    left_s, least_s = (subject.chain.expiry - subject.chain.as_of) / 1e9, subject.limits.volatility_until_s
    return f"the chain expires in {left_s:.0f} s, less than {least_s:g} s" if left_s < least_s else ""
