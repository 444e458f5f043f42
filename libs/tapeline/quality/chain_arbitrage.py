"""Rules 33 to 35 and 37: prices at which something could be had for nothing. Pure.

All of them compare what could be sold at the bid with what it could be bought back or hedged for at the ask, so that a
wide market raises nothing. Options are on a future F, strikes K, discount factor D, premiums paid at once. No call
spreads, butterflies and calendars worth less than nothing: no static arbitrage (Carr and Madan 2005, "A note on
sufficient conditions for no arbitrage", Finance Research Letters 2(3) 125-130).

An American option on a future is worth at least what exercise pays now, and what the European one is; since F itself
costs nothing to hold, exercise is worth at most the European option without discount. What may be exercised early is
therefore held to the wider of both rules.
"""

from __future__ import annotations

import numpy as np

from tapeline.model.chain_quality import MOST_EVIDENCE
from tapeline.quality.chain_findings import BOUNDS, BUTTERFLY, PARITY, VERTICAL, Case, Findings
from tapeline.quality.chain_subject import Floats, Ladder, Positions, Subject


def check_bounds(subject: Subject, found: Findings) -> None:
    """Rule 33: an option is worth something between what exercise is worth for certain and all that it could pay.

    European: D·max(F - K, 0) <= C <= D·F and D·max(K - F, 0) <= P <= D·K (Merton 1973). American: without the D.
    """
    if subject.forward is None or subject.discount is None:
        found.leave(subject.no_forward, BOUNDS)
        return
    forward, discount = subject.forward, subject.discount
    rows: list[Positions] = []
    cases: list[Case] = []
    for ladder in (subject.calls, subject.puts):
        factor = discount if subject.is_european else 1.0
        # What of neither style is known keeps the lower bound of the one and the upper bound of the other.
        floor = discount if subject.chain.style is None else factor
        lower = floor * np.maximum(forward - ladder.strike if ladder.is_call else ladder.strike - forward, 0.0)
        upper = factor * (np.full(len(ladder), forward) if ladder.is_call else ladder.strike)
        above, below = ladder.bid - upper, lower - ladder.ask
        price = np.where(above > below, ladder.bid, ladder.ask)
        gain = np.maximum(above, below)
        uncertain = np.where((lower > 0.0) | (above > below), subject.forward_slack, 0.0)
        broken = np.flatnonzero(gain > subject.slack(price) + uncertain)
        rows.append(ladder.rows[broken])
        for i in broken[np.argsort(-gain[broken])][:MOST_EVIDENCE].tolist():
            told = {"bid": ladder.bid[i], "upper": upper[i]} if above[i] > below[i] else {}
            told = told or {"ask": ladder.ask[i], "lower": lower[i]}
            numbers = {**told, "forward": forward, "discount": discount, "gain": gain[i]}
            cases.append(([int(ladder.rows[i])], numbers))
    _warn(found, BOUNDS, "bounds", "quoted below what exercise is worth, or above all that it can pay", rows, cases)


def check_vertical(subject: Subject, found: Findings) -> None:
    """Rule 34: a spread of two strikes pays something from 0 to their distance, and its price is in between.

    0 <= C(K1) - C(K2) <= D·(K2 - K1), the other way round for puts; without the D where it may be exercised early, or
    no interest rate is known. All pairs are compared, not neighbours only: one that is not quoted hides nothing.
    """
    factor = subject.discount if subject.is_european and subject.discount is not None else 1.0
    rows: list[Positions] = []
    cases: list[Case] = []
    for ladder in (subject.calls, subject.puts):
        if len(ladder) < 2:
            continue
        for sold, bought, least in (_against_nearer(ladder), _against_farther(ladder, factor)):
            gain = ladder.bid[sold] - ladder.ask[bought] - least
            dearest = np.maximum(ladder.bid[sold], ladder.ask[bought])
            broken = np.flatnonzero(gain > subject.slack(dearest))
            rows += [ladder.rows[sold[broken]], ladder.rows[bought[broken]]]
            for i in broken[np.argsort(-gain[broken])][:MOST_EVIDENCE].tolist():
                sell, buy = int(sold[i]), int(bought[i])
                numbers = {
                    "sell": ladder.bid[sell],
                    "buy": ladder.ask[buy],
                    "pays_at_most": least[i],
                    "gain": gain[i],
                }
                cases.append(([int(ladder.rows[sell]), int(ladder.rows[buy])], numbers))
    _warn(found, VERTICAL, "vertical", "spreads of two strikes sell for more than they can pay", rows, cases)


def _against_nearer(ladder: Ladder) -> tuple[Positions, Positions, Floats]:
    """Return what to sell, the cheapest at a nearer strike to buy, and the most that the two then cost: nothing."""
    sold = np.arange(1, len(ladder))
    return sold, _lowest_so_far(ladder.ask)[:-1], np.zeros(len(sold))


def _against_farther(ladder: Ladder, factor: float) -> tuple[Positions, Positions, Floats]:
    """Return what to sell, the cheapest hedge at a farther strike, and the most that the two then cost."""
    sold = np.arange(len(ladder) - 1)
    with_distance = ladder.ask + factor * ladder.reach
    last = len(ladder) - 1
    bought = (last - _lowest_so_far(with_distance[::-1]))[::-1][1:]
    return sold, bought, factor * (ladder.reach[bought] - ladder.reach[sold])


def _lowest_so_far(values: Floats) -> Positions:
    """Return for each place where the lowest value up to it is."""
    lowest = np.minimum.accumulate(values)
    return np.maximum.accumulate(np.where(values == lowest, np.arange(len(values)), 0))


def check_butterfly(subject: Subject, found: Findings) -> None:
    """Rule 35: prices are convex in the strike: nobody bids more for one than its two wings can be bought for.

    C(K1) - (1 + w)·C(K2) + w·C(K3) >= 0 with w = (K2 - K1)/(K3 - K2), for American options too. The cheapest wings of
    all are taken: those are the corners of the lower convex hull of the asks.
    """
    rows: list[Positions] = []
    cases: list[Case] = []
    for ladder in (subject.calls, subject.puts):
        offered = np.flatnonzero(np.isfinite(ladder.ask))
        if len(offered) < 2:
            continue
        hull = offered[_lower_hull(ladder.reach[offered], ladder.ask[offered])]
        reach, asks = ladder.reach[hull], ladder.ask[hull]
        cost = np.interp(ladder.reach, reach, asks, left=np.inf, right=np.inf)
        gain = ladder.bid - cost
        broken = np.flatnonzero(gain > subject.slack(np.maximum(ladder.bid, cost)))
        right = np.searchsorted(reach, ladder.reach[broken])
        nearer, farther = hull[right - 1], hull[right]
        rows += [ladder.rows[broken], ladder.rows[nearer], ladder.rows[farther]]
        for i in np.argsort(-gain[broken])[:MOST_EVIDENCE].tolist():
            first, body, second = int(nearer[i]), int(broken[i]), int(farther[i])
            share = (ladder.reach[second] - ladder.reach[body]) / (ladder.reach[second] - ladder.reach[first])
            numbers = {
                "sell": ladder.bid[body],
                "buy_first": ladder.ask[first],
                "buy_last": ladder.ask[second],
                "first_share": share,
                "gain": gain[body],
            }
            cases.append(([int(ladder.rows[leg]) for leg in (first, body, second)], numbers))
    _warn(found, BUTTERFLY, "butterfly", "the middle of three strikes sells for more than its wings cost", rows, cases)


def _lower_hull(x: Floats, y: Floats) -> Positions:
    """Return the corners of the lower convex hull of points by rising `x` (Andrew 1979)."""
    corners: list[int] = []
    xs, ys = x.tolist(), y.tolist()
    for i in range(len(xs)):
        xi, yi = xs[i], ys[i]
        while len(corners) > 1:
            a, b = corners[-2], corners[-1]
            if (ys[b] - ys[a]) * (xi - xs[a]) < (yi - ys[a]) * (xs[b] - xs[a]):
                break
            corners.pop()
        corners.append(i)
    return np.array(corners, dtype=np.int64)


def check_parity(subject: Subject, found: Findings) -> None:
    """Rule 37: a call less the put of its strike is the future less the strike.

    European: C - P = D·(F - K). American on a future: D·F - K <= C - P <= F - D·K (Hull, "Options, Futures, and Other
    Derivatives", chapter on futures options; the well-known S - K <= C - P <= S - D·K is for a share, which costs money
    to hold). Missed by more than bids and asks, fees and the uncertainty of the forward allow.
    """
    if subject.forward is None or subject.discount is None:
        found.leave(subject.no_forward, PARITY)
        return
    forward, discount = subject.forward, subject.discount
    calls, puts = subject.calls, subject.puts
    of_calls, of_puts = subject.pairs
    strike = calls.strike[of_calls]
    highest = discount * (forward - strike) if subject.is_european else forward - discount * strike
    lowest = discount * (forward - strike) if subject.is_european else discount * forward - strike
    sell = calls.bid[of_calls] - puts.ask[of_puts]
    buy = calls.ask[of_calls] - puts.bid[of_puts]
    above, below = sell - highest, lowest - buy
    gain = np.maximum(above, below)
    dearest = np.where(above > below, calls.bid[of_calls], puts.bid[of_puts])
    allowed = subject.slack(dearest) + subject.limits.fees_points + subject.forward_slack
    broken = np.flatnonzero(gain > allowed)
    rows = [calls.rows[of_calls[broken]], puts.rows[of_puts[broken]]]
    cases: list[Case] = []
    for i in broken[np.argsort(-gain[broken])][:MOST_EVIDENCE].tolist():
        told = {"call_bid_less_put_ask": sell[i], "highest": highest[i]} if above[i] > below[i] else {}
        told = told or {"call_ask_less_put_bid": buy[i], "lowest": lowest[i]}
        numbers = {**told, "forward": forward, "discount": discount, "gain": gain[i]}
        cases.append(([int(calls.rows[of_calls[i]]), int(puts.rows[of_puts[i]])], numbers))
    _warn(found, PARITY, "parity", "call and put of a strike do not fit the forward", rows, cases)


def _warn(found: Findings, rule: str, flag: str, detail: str, rows: list[Positions], cases: list[Case]) -> None:
    concerned = np.concatenate([np.zeros(0, dtype=np.int64), *rows])
    if len(concerned):
        cases.sort(key=lambda case: -case[1]["gain"])
        found.add(rule, "warning", detail, concerned, flag=flag, cases=cases)
