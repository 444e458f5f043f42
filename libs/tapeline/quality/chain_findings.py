"""What the quality rules for chains say, as it is put together. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from tapeline.model.chain_quality import MOST_EVIDENCE, Evidence, Finding, Severity
from tapeline.model.chains import Chain, flag_bit
from tapeline.model.quality import MOST_NAMED

COMPLETENESS: Final = "30_completeness"
PAIRING: Final = "31_pairing"
DUPLICATES: Final = "32_duplicates"
BOUNDS: Final = "33_bounds"
VERTICAL: Final = "34_vertical"
BUTTERFLY: Final = "35_butterfly"
CALENDAR: Final = "36_calendar"
PARITY: Final = "37_parity"
VOLATILITY: Final = "38_iv"
GREEKS: Final = "39_greeks"
EXPIRY: Final = "40_expiry"
UNDERLYING: Final = "41_underlying"

RULES: Final = (
    COMPLETENESS,
    PAIRING,
    DUPLICATES,
    BOUNDS,
    VERTICAL,
    BUTTERFLY,
    CALENDAR,
    PARITY,
    VOLATILITY,
    GREEKS,
    EXPIRY,
    UNDERLYING,
)

Case = tuple[Sequence[int], Mapping[str, float]]
"""Contracts by their position in the chain, and the numbers that show what is wrong with them."""


class Findings:
    """Collects what the rules find in one chain: findings, the contracts' flags, and rules not checked."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self.flags: npt.NDArray[np.uint32] = np.zeros(len(chain.contracts), dtype=np.uint32)
        self.findings: list[Finding] = []
        self.not_checked: dict[str, str] = {}

    def add(
        self,
        rule: str,
        severity: Severity,
        detail: str,
        rows: Sequence[int] | npt.NDArray[np.int64] = (),
        *,
        count: int | None = None,
        flag: str | None = None,
        cases: Sequence[Case] = (),
    ) -> None:
        """Take a finding about the contracts at `rows`, which get the flag; `cases` come with the gravest first.

        `count` stands where the contracts concerned are not there, or not faulty.
        """
        concerned = np.unique(np.asarray(rows, dtype=np.int64))
        if flag is not None:
            self.flags[concerned] |= np.uint32(flag_bit(flag))
        self.findings.append(
            Finding(
                rule=rule,
                severity=severity,
                count=len(concerned) if count is None else count,
                detail=detail,
                contracts=self._names(concerned[:MOST_NAMED].tolist()),
                evidence=tuple(
                    Evidence(self._names(contracts), {name: float(number) for name, number in numbers.items()})
                    for contracts, numbers in cases[:MOST_EVIDENCE]
                ),
            )
        )

    def flag_all(self, flag: str) -> None:
        """Flag every contract."""
        self.flags |= np.uint32(flag_bit(flag))

    def leave(self, why: str, *rules: str) -> None:
        """Take note that rules could not be applied."""
        self.not_checked.update(dict.fromkeys(rules, why))

    def _names(self, rows: Sequence[int]) -> tuple[str, ...]:
        return tuple(self._chain.symbols(rows)) if len(rows) else ()
