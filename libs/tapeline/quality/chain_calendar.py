"""Rule 36: of two expiries on one future, the later option is worth no less. Pure."""

from __future__ import annotations

import numpy as np

from tapeline.model.chain_quality import MOST_EVIDENCE, Evidence, Finding
from tapeline.model.frames import Array
from tapeline.model.quality import MOST_NAMED
from tapeline.quality.chain_findings import CALENDAR
from tapeline.quality.chain_subject import ROUNDING, Ladder, Subject


def lack_of_comparison(earlier: Subject, later: Subject) -> str:
    """Return why two chains on one future cannot be compared, "" where they can."""
    for subject in (earlier, later):
        if subject.no_forward:
            return f"{subject.chain.key}: {subject.no_forward}"
    apart_s = abs(later.chain.as_of - earlier.chain.as_of) / 1e9
    if apart_s > later.limits.calendar_apart_s:
        return f"{earlier.chain.key} is {apart_s:,.0f} s away"
    return ""


def compare(earlier: Subject, later: Subject) -> Finding | None:
    """Return what is wrong with the later of two chains on one future, measured by the earlier one.

    At the same strike/forward, price/forward does not fall with the time to expiry, before discount for European
    options (Carr and Madan 2005). A later American option can be held until the earlier expiry and exercised then, so
    that its price itself does not fall; an earlier American one is worth at least the discounted European. Options out
    of the money are compared, which by parity says all. Between its strikes, the later price is at most what the two
    around it would cost together, as prices are convex.
    """
    parts = [_gains(earlier, later, earlier.calls, later.calls), _gains(earlier, later, earlier.puts, later.puts)]
    near, far, sell, cost, gain = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    if not len(near):
        return None
    worst = np.argsort(-gain, kind="stable")[:MOST_EVIDENCE].tolist()
    pairs = zip(earlier.chain.symbols(near[worst].tolist()), later.chain.symbols(far[worst].tolist()), strict=True)
    concerned = np.unique(far)
    return Finding(
        rule=CALENDAR,
        severity="warning",
        count=len(concerned),
        detail=f"cheaper than the same options of {earlier.chain.key}, which expire earlier",
        contracts=tuple(later.chain.symbols(concerned[:MOST_NAMED].tolist())),
        evidence=tuple(
            Evidence(
                pair,
                {
                    "sell_earlier": float(sell[i]),
                    "buy_later": float(cost[i]),
                    "earlier_forward": earlier.forward or 0.0,
                    "later_forward": later.forward or 0.0,
                    "gain": float(gain[i]),
                },
            )
            for pair, i in zip(pairs, worst, strict=True)
        ),
    )


def _gains(earlier: Subject, later: Subject, near: Ladder, far: Ladder) -> tuple[Array, ...]:
    """Return for each violation: rows of the earlier and of the nearest later contract, what one sells and buys, gain.

    The price to buy at is that of the earlier contract's strike/forward, in points of the earlier forward.
    """
    nothing = (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0), np.zeros(0))
    offered = np.flatnonzero(np.isfinite(far.ask))
    if earlier.forward is None or later.forward is None or not len(offered):
        return nothing
    scale = later.forward / earlier.forward
    at_the_money = earlier.forward if near.is_call else -earlier.forward
    wanted = np.flatnonzero((near.reach >= at_the_money) & np.isfinite(near.bid))
    reach = near.reach[wanted] * scale
    known = far.reach[offered]
    within = (reach >= known[0] - ROUNDING) & (reach <= known[-1] + ROUNDING)
    cost = np.where(within, np.interp(reach, known, far.ask[offered]), np.inf) / scale
    growth_near = growth_far = 1.0
    if later.chain.style != "american":
        growth_far = 1.0 / (later.discount or 1.0)
        growth_near = 1.0 / (earlier.discount or 1.0) if earlier.is_european else 1.0
    gain = near.bid[wanted] * growth_near - cost * growth_far
    allowed = later.slack(np.maximum(near.bid[wanted], cost)) + earlier.forward_slack + later.forward_slack
    broken = np.flatnonzero(gain > allowed)
    after = np.minimum(np.searchsorted(known, reach[broken] - ROUNDING), len(offered) - 1)
    return near.rows[wanted[broken]], far.rows[offered[after]], near.bid[wanted[broken]], cost[broken], gain[broken]
