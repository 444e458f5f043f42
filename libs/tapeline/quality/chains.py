"""The quality rules for option chains, 30 to 41: what is wrong with one, with the evidence. Pure; deletes nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from tapeline.model.chain_quality import ChainQuality, Finding, verdict_of
from tapeline.model.chains import Chain, Verdict
from tapeline.quality.chain_arbitrage import check_bounds, check_butterfly, check_parity, check_vertical
from tapeline.quality.chain_calendar import compare, lack_of_comparison
from tapeline.quality.chain_findings import BUTTERFLY, CALENDAR, RULES, VERTICAL, Findings
from tapeline.quality.chain_limits import ChainLimits
from tapeline.quality.chain_structure import check_completeness, check_duplicates, check_pairing
from tapeline.quality.chain_subject import EXPIRED, lay_out
from tapeline.quality.chain_time import check_expiry, check_underlying
from tapeline.quality.chain_volatility import check_greeks, check_volatility

__all__ = ["RULES", "ChainLimits", "ChainReport", "check_calendar", "check_chain"]


@dataclass(frozen=True, slots=True, eq=False)
class ChainReport:
    """What the rules found in a chain.

    `flags` (uint32, one per contract) have the bits of model.chains.FLAGS, to be or-ed into the contracts' own.
    `not_checked` says why of each rule that could not be applied, in whole or in part.
    """

    findings: tuple[Finding, ...]
    flags: npt.NDArray[np.uint32]
    not_checked: Mapping[str, str] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """How many errors and warnings there are, and how many contracts each rule concerns."""
        return verdict_of(self.findings)

    def with_calendar(self, calendar: ChainReport) -> ChainReport:
        """Return the report with what `check_calendar` found in the same chain."""
        rest = {rule: why for rule, why in self.not_checked.items() if rule != CALENDAR}
        return replace(
            self,
            findings=(*self.findings, *calendar.findings),
            not_checked={**rest, **calendar.not_checked},
        )

    def event(self, chain: Chain, at_ns: int) -> ChainQuality:
        """Return the message that says so on md.quality.v1."""
        return ChainQuality(
            chain=chain.key,
            source=chain.source,
            vendor=chain.vendor,
            mode=chain.mode,
            as_of=chain.as_of,
            at=at_ns,
            verdict=self.verdict,
            findings=self.findings,
            not_checked=self.not_checked,
        )


def check_chain(chain: Chain, *, at_ns: int, limits: ChainLimits) -> ChainReport:
    """Return what all rules but the calendar's find in a chain at `at_ns`, ns since the epoch.

    Forward, interest rate, volatilities and greeks are taken as the chain has them. An expired chain is looked at for
    its structure only: prices of a settled option follow no rule.
    """
    subject = lay_out(chain, at_ns, limits)
    found = Findings(chain)
    check_completeness(subject, found)
    check_pairing(subject, found)
    check_duplicates(subject, found)
    check_bounds(subject, found)
    if subject.is_expired:
        found.leave(EXPIRED, VERTICAL, BUTTERFLY)
    else:
        check_vertical(subject, found)
        check_butterfly(subject, found)
    found.leave("the chain was not compared with other expiries", CALENDAR)
    check_parity(subject, found)
    check_volatility(subject, found)
    check_greeks(subject, found)
    check_expiry(subject, found)
    check_underlying(subject, found)
    return ChainReport(tuple(found.findings), found.flags, found.not_checked)


def check_calendar(chains: Sequence[Chain], *, at_ns: int, limits: ChainLimits) -> dict[str, ChainReport]:
    """Return by the chain's key what rule 36 finds, for chains of different expiries; `with_calendar` takes it up.

    Each chain is compared with all that expire earlier on the same underlying future; expiries on other futures have
    other forwards, and nothing binds them together.
    """
    by_underlying: dict[str, list[Chain]] = defaultdict(list)
    for chain in chains:
        by_underlying[chain.underlying].append(chain)
    reports: dict[str, ChainReport] = {}
    for alike in by_underlying.values():
        subjects = [lay_out(chain, at_ns, limits) for chain in sorted(alike, key=lambda chain: chain.expiry)]
        for place, later in enumerate(subjects):
            lacks = [lack_of_comparison(earlier, later) for earlier in subjects[:place]]
            found = [compare(earlier, later) for earlier, lack in zip(subjects[:place], lacks, strict=True) if not lack]
            why = next(filter(None, lacks), "")
            reports[later.chain.key] = ChainReport(
                findings=tuple(filter(None, found)),
                flags=np.zeros(len(later.chain.contracts), dtype=np.uint32),
                not_checked={CALENDAR: why} if why else {},
            )
    return reports
