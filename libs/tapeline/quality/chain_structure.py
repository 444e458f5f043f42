"""Rules 30 to 32: is all of a chain there, has each strike its call and its put, is nothing there twice. Pure."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from tapeline.quality.chain_findings import COMPLETENESS, DUPLICATES, PAIRING, Case, Findings
from tapeline.quality.chain_subject import Bools, Subject


def check_completeness(subject: Subject, found: Findings) -> None:
    """Rule 30: contracts that ought to be there are, and near the forward they have a bid and an ask.

    What is expected is only as good as who says so: definitions prove that none is missing, a vendor's total proves
    that what it sent has arrived.
    """
    chain, limits = subject.chain, subject.limits
    count = len(chain.contracts)
    if chain.expected is None:
        source = "how many are listed is not known"
    elif chain.expected_from == "definitions":
        source = "expected by definitions"
    else:
        source = "expected by a vendor's total, which proves transport only"
    if chain.expected is not None and count < chain.expected:
        found.add(
            COMPLETENESS,
            "error",
            f"{count} of {chain.expected} contracts are there; {source}",
            count=chain.expected - count,
            cases=[((), {"expected": chain.expected, "received": count})],
        )
    if subject.forward is None:
        found.leave(subject.no_forward, COMPLETENESS)
        return
    distances = np.abs(chain.contracts.strike / 1e9 / subject.forward - 1.0)
    near_share = max(_near_share(subject, subject.forward), float(distances.min(initial=np.inf)))
    near = distances <= near_share
    listed, two_sided = np.count_nonzero(near), np.count_nonzero(near & subject.is_two_sided)
    if two_sided < limits.least_two_sided * listed:
        found.add(
            COMPLETENESS,
            "error",
            f"{two_sided} of {listed} contracts within {near_share:.2%} of the forward have a bid and an ask; {source}",
            np.flatnonzero(near & ~subject.is_two_sided),
            cases=[((), _coverage(subject, near, near_share))],
        )
    bands = [_coverage(subject, distances <= share, share) for share in limits.reported_shares]
    bands.append(_coverage(subject, np.ones(count, dtype=bool), None))
    found.add(
        COMPLETENESS,
        "info",
        f"{bands[-1]['two_sided']:.0f} of {count} contracts have a bid and an ask; {source}",
        count=int(bands[-1]["contracts"] - bands[-1]["two_sided"]),
        cases=[((), band) for band in bands],
    )


def _near_share(subject: Subject, forward: float) -> float:
    """Return within which share of the forward all must be quoted.

    The standard deviation of the future at expiry is √(π/2) times what call and put at the money cost together
    (Brenner and Subrahmanyam 1988).
    """
    of_calls, of_puts = subject.pairs
    strikes = subject.calls.strike[of_calls]
    middles = (subject.bid + subject.ask) / 2
    straddles = middles[subject.calls.rows[of_calls]] + middles[subject.puts.rows[of_puts]]
    quoted = np.flatnonzero(~np.isnan(straddles))
    if not len(quoted):
        return subject.limits.near_share
    nearest = quoted[np.argmin(np.abs(strikes[quoted] - forward))]
    deviation = math.sqrt(math.pi / 2) * float(straddles[nearest])
    return min(subject.limits.near_share, subject.limits.near_deviations * deviation / forward)


def _coverage(subject: Subject, within: Bools, share: float | None) -> dict[str, float]:
    """Return how many contracts a band has, and how many of them are quoted on both sides."""
    told = {} if share is None else {"within_percent": 100.0 * share}
    if share is not None and subject.forward is not None:
        told["forward"] = subject.forward
    return {
        **told,
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
    _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    named = Counter(symbols)
    rows = np.flatnonzero((counts[inverse] > 1) | np.array([named[symbol] > 1 for symbol in symbols]))
    cases: list[Case] = []
    for key in np.unique(keys[rows])[: len(rows)].tolist():
        alike = np.flatnonzero(keys == key).tolist()
        cases.append((alike[:1], {"times": len(alike), "strike": key // 2 / 1e9}))
    cases.sort(key=lambda case: -case[1]["times"])
    found.add(
        DUPLICATES,
        "error",
        f"{len(rows)} contracts share strike and right, or the vendor's symbol, with another",
        rows,
        flag="duplicate",
        cases=cases,
    )
