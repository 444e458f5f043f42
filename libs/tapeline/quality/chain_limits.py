"""From where on the quality rules for option chains find something."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChainLimits:
    """Thresholds of the rules for chains. The defaults are for options on NQ and ES futures.

    †: our own proposal; no authority is known that names a figure.
    """

    near_share: float = 0.02
    """Completeness is demanded of strikes within this share of the forward."""

    near_deviations: float = 2.0
    """Nor of strikes so many standard deviations of the future at expiry away: far from it nobody bids for what expires
    in hours, and 2 % are far then†."""

    least_two_sided: float = 0.98
    """Least share of the contracts near the forward that must have a bid and an ask."""

    reported_shares: tuple[float, ...] = (0.02, 0.05, 0.10, 0.20)
    """Bands around the forward whose completeness is reported, as are all contracts; at most 4. On real chains all
    contracts within 2 % are quoted on both sides, and 76 to 96 % of those within 20 %."""

    fine_tick_points: float = 0.05
    """Tick of premiums up to `fine_tick_up_to_points`."""

    fine_tick_up_to_points: float = 5.0

    coarse_tick_points: float = 0.25
    """Tick of premiums above."""

    slack_ticks: float = 1.0
    """An arbitrage must gain more than so many ticks of its dearest leg: what rounding can feign†."""

    fees_points: float = 0.25
    """Parity must be missed by more than the fees of its two options, points†."""

    forward_deviations: float = 3.0
    """Where the forward comes from parity, bounds and parity must be missed by more than so many of its standard
    deviations†."""

    calendar_apart_s: float = 60.0
    """Expiries are compared where their chains' `as_of` are at most so far apart†."""

    least_volatility: float = 0.001
    """Implied volatilities must be above, as a fraction per root year†."""

    most_volatility: float = 5.0
    """Implied volatilities must be below†."""

    volatility_until_s: float = 600.0
    """In the last so many seconds of an expiry volatilities and greeks say nothing: a tick decides them†."""

    delta_slack: float = 0.005
    """A delta may be outside its bounds by so much: vendors round†."""

    most_delta_difference: float = 0.02
    """The vendor's delta and ours may differ by so much, and a call's and a put's from the discount factor†."""

    most_out_of_step_s: float = 2.0
    """The underlying's price and the newest option quote may be so far apart†."""
