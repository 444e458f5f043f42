"""Rules 30 to 32: is all of a chain there, has each strike its call and its put, is nothing there twice. Pure."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from tapeline.model.chain_quality import MOST_EVIDENCE
from tapeline.model.chains import Chain
from tapeline.quality.chain_findings import COMPLETENESS, DUPLICATES, PAIRING, Case, Findings
from tapeline.quality.chain_subject import ROUNDING, Bools, Subject


def check_completeness(subject: Subject, found: Findings) -> None:
    """Rule 30: contracts that ought to be there are, and near the forward they have a bid and an ask.

    What is expected is only as good as who says so: definitions prove that none is missing, a vendor's total proves
    that what it sent has arrived.
    """
    chain = subject.chain
    count = len(chain.contracts)
    source = _whose_word(chain)
    if chain.expected is not None and count < chain.expected:
        found.add(
            COMPLETENESS,
            "error",
            f"{count} of {chain.expected} contracts are there; {source}",
            count=chain.expected - count,
            cases=[((), {"expected": chain.expected, "received": count})],
        )
    if not subject.is_expired and not subject.is_two_sided.any():
        # Wherever the forward is, nothing is quoted around it.
        rows = np.arange(count)
        found.add(COMPLETENESS, "error", f"none of {count} contracts has a bid and an ask; {source}", rows)
    elif subject.forward is None:
        found.leave(subject.no_forward, COMPLETENESS)
    else:
        _check_quoted(subject, subject.forward, source, found)


def _whose_word(chain: Chain) -> str:
    if chain.expected is None:
        return "how many are listed is not known"
    if chain.expected_from == "definitions":
        return "expected by definitions"
    return "expected by a vendor's total, which proves transport only"


def _check_quoted(subject: Subject, forward: float, source: str, found: Findings) -> None:
    """Demand quotes near the forward, and report how many there are in wider bands."""
    limits = subject.limits
    distances = np.abs(subject.chain.contracts.strike / 1e9 - forward)
    near_points = _near_points(subject, forward) + ROUNDING
    near = distances <= near_points
    listed, two_sided = np.count_nonzero(near), np.count_nonzero(near & subject.is_two_sided)
    if not listed or two_sided < limits.least_two_sided * listed:
        share = near_points / forward
        found.add(
            COMPLETENESS,
            "error",
            f"{two_sided} of {listed} contracts within {share:.2%} of the forward have a bid and an ask; {source}",
            np.flatnonzero(near & ~subject.is_two_sided),
            cases=[((), {"forward": forward, "within_points": near_points, **_coverage(subject, near)})],
        )
    bands = [
        {"within_percent": 100.0 * share, **_coverage(subject, distances <= share * forward + ROUNDING)}
        for share in limits.reported_shares
    ]
    bands.append(_coverage(subject, np.ones(len(distances), dtype=bool)))
    found.add(
        COMPLETENESS,
        "info",
        f"{bands[-1]['two_sided']:.0f} of {len(distances)} contracts have a bid and an ask; {source}",
        count=int(bands[-1]["contracts"] - bands[-1]["two_sided"]),
        cases=[((), band) for band in bands],
    )


def _near_points(subject: Subject, forward: float) -> float:
    """Return how far from the forward all must be quoted.

    The standard deviation of the future at expiry is √(π/2) times what call and put at the money cost together
    (Brenner and Subrahmanyam 1988).
    """
    most = subject.limits.near_share * forward
    of_calls, of_puts = subject.pairs
    strikes = subject.calls.strike[of_calls]
    middles = (subject.bid + subject.ask) / 2
    straddles = middles[subject.calls.rows[of_calls]] + middles[subject.puts.rows[of_puts]]
    quoted = np.flatnonzero(~np.isnan(straddles))
    if not len(quoted):
        return most
    nearest = quoted[np.argmin(np.abs(strikes[quoted] - forward))]
    deviation = math.sqrt(math.pi / 2) * float(straddles[nearest])
    return min(most, subject.limits.near_deviations * deviation)


def _coverage(subject: Subject, within: Bools) -> dict[str, float]:
    """Return how many contracts a band has, and how many of them are quoted on both sides."""
    return {
        "contracts": int(np.count_nonzero(within)),
        "two_sided": int(np.count_nonzero(within & subject.is_two_sided)),
    }


def check_pairing(subject: Subject, found: Findings) -> None:
    """Rule 31: each strike has a call and a put, quoted or not."""
    contracts = subject.chain.contracts
    calls, puts = contracts.strike[contracts.is_call], contracts.strike[~contracts.is_call]
    if len(calls) == len(puts) and np.array_equal(calls, puts):
        return
    others = np.where(contracts.is_call, np.isin(contracts.strike, puts), np.isin(contracts.strike, calls))
    rows = np.flatnonzero(~others)
    if len(rows):
        found.add(
            PAIRING,
            "warning",
            f"{np.count_nonzero(contracts.is_call[rows])} calls without a put of their strike,"
            f" {np.count_nonzero(~contracts.is_call[rows])} puts without a call",
            rows,
            flag="unpaired",
            cases=[((), {"calls": len(calls), "puts": len(puts)})],
        )


def check_duplicates(subject: Subject, found: Findings) -> None:
    """Rule 32: no contract is there twice, neither by strike and right nor by the vendor's symbol."""
    contracts = subject.chain.contracts
    count = len(contracts)
    keys = contracts.strike * 2 + contracts.is_call
    symbols = contracts.vendor_symbols
    if len(np.unique(keys)) == count and len(set(symbols)) == count:
        return
    alike, first, inverse, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    named = Counter(symbols)
    rows = np.flatnonzero((counts[inverse] > 1) | np.array([named[symbol] > 1 for symbol in symbols]))
    cases: list[Case] = [
        ([int(first[i])], {"times": int(counts[i]), "strike": int(alike[i]) // 2 / 1e9})
        for i in np.argsort(-counts, kind="stable")[:MOST_EVIDENCE].tolist()
        if counts[i] > 1
    ]
    found.add(
        DUPLICATES,
        "error",
        f"{len(rows)} contracts share strike and right, or the vendor's symbol, with another",
        rows,
        flag="duplicate",
        cases=cases,
    )
