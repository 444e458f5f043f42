"""Rules 40 and 41: is the chain still alive, and is its underlying's price of the same moment. Pure."""

from __future__ import annotations

import numpy as np

from tapeline.model.chains import ABSENT
from tapeline.quality.chain_findings import EXPIRY, UNDERLYING, Findings
from tapeline.quality.chain_subject import EXPIRED, Subject, out_of_step_s


def check_expiry(subject: Subject, found: Findings) -> None:
    """Rule 40: nothing is quoted once the options have expired, at an instant and not only on a day."""
    chain = subject.chain
    if not subject.is_expired:
        return
    is_quoted = ~np.isnan(subject.bid) | ~np.isnan(subject.ask)
    quoted_at = chain.contracts.integers("quote_at")
    # Without a time of its own a quote is as of the chain.
    is_late = is_quoted & (np.where(quoted_at > ABSENT, quoted_at, chain.as_of) >= chain.expiry)
    late = int(np.count_nonzero(is_late))
    ago_s = (max(subject.at_ns, chain.as_of) - chain.expiry) / 1e9
    found.add(
        EXPIRY,
        "error",
        f"expired {ago_s:,.0f} s ago; {late} contracts are quoted after the expiry",
        np.flatnonzero(is_late) if late else np.arange(len(chain.contracts)),
        cases=[
            (
                (),
                {
                    "expired_ago_s": ago_s,
                    "as_of_after_expiry_s": (chain.as_of - chain.expiry) / 1e9,
                    "quoted": int(np.count_nonzero(is_quoted)),
                    "quoted_after_expiry": late,
                },
            )
        ],
    )
    found.flag_all("expired")


def check_underlying(subject: Subject, found: Findings) -> None:
    """Rule 41: the price of the underlying is of the moment of the quotes.

    Greeks rest on it where it is the forward, and are flagged then; a forward by parity is of the quotes' own moment.
    """
    chain, limits = subject.chain, subject.limits
    if subject.is_expired:
        found.leave(EXPIRED, UNDERLYING)
        return
    apart_s = out_of_step_s(chain)
    if apart_s is None or chain.underlying_price is None:
        what = "the chain has no price of its underlying"
        found.leave(what if chain.underlying_price is None else f"{what} with a time", UNDERLYING)
        return
    if apart_s <= limits.most_out_of_step_s:
        return
    price = chain.underlying_price.value / 1e9
    is_used = chain.forward is not None and chain.forward.source == "future"
    columns = chain.contracts.columns
    has_greeks = is_used and "delta" in columns
    rows = np.flatnonzero(~np.isnan(columns["delta"])) if has_greeks else np.zeros(0, dtype=np.int64)
    found.add(
        UNDERLYING,
        "warning" if is_used or chain.forward is None else "info",
        f"the underlying's price is {apart_s:,.1f} s away from the newest quote"
        + ("; greeks and volatilities rest on it" if is_used else ""),
        rows,
        count=len(chain.contracts),
        flag="greeks",
        cases=[((), {"apart_s": apart_s, "most_s": limits.most_out_of_step_s, "price": price})],
    )
