"""When to leave a site alone: after a 429, and after failures. States are values, kept by who calls. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

LONGEST_QUIET_S: Final = 86_400.0
"""A site that asks for more is asked again after this (s)."""


@dataclass(frozen=True, slots=True)
class Quiet:
    """Until when (ns since the epoch) nothing is called, and why; `strikes` is how often in a row that came about.

    One that is over is no longer kept to, but remembered: what goes wrong next comes after it.
    """

    until_ns: int
    strikes: int
    reason: str

    def rest_s(self, now_ns: int) -> float:
        """Return for how much longer (s) nothing is called; 0 where it is over."""
        return max(0.0, (self.until_ns - now_ns) / 1e9)


def after_throttling(last: Quiet | None, now_ns: int, retry_after_s: float | None, step_s: float) -> Quiet:
    """Return the quiet after a 429: as long as the site says, else `step_s` times the 429s in a row."""
    strikes = (last.strikes if last else 0) + 1
    quiet_s = step_s * strikes if retry_after_s is None else retry_after_s
    quiet_s = min(quiet_s, LONGEST_QUIET_S)
    words = "it says for how long" if retry_after_s is not None else "it does not say for how long"
    return Quiet(now_ns + round(quiet_s * 1e9), strikes, f"the site answered 429, and {words}")


@dataclass(frozen=True, slots=True)
class Breaker:
    """Opens after `failures` in a row, for `open_s`; then one call tries, and its failure opens it again at once."""

    failures: int
    open_s: float

    def after_failure(self, last: Quiet | None, now_ns: int, reason: str, *, at_once: bool = False) -> Quiet:
        """Return the state after a failed fetch. `at_once`: one that more failures would only make worse."""
        strikes = self.failures if at_once else (last.strikes if last else 0) + 1
        strikes = max(strikes, last.strikes if last else 0)
        opens = strikes >= self.failures
        return Quiet(now_ns + round(self.open_s * 1e9) if opens else 0, strikes, reason)
