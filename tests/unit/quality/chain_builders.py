"""Option chains for tests of the quality rules: a worked board of five strikes, and the simulator's true surface."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tapeline.model.chain_quality import Finding
from tapeline.model.chains import NULL, Chain, Contracts, Forward
from tapeline.model.frames import Array
from tapeline.quality.chains import ChainLimits, ChainReport, check_chain
from tapeline_simulator.surface import INTEREST_RATE, option_values

Floats = npt.NDArray[np.float64]
Quote = tuple[float | None, float | None]

AS_OF: Final = int(datetime(2026, 11, 23, 15, tzinfo=UTC).timestamp()) * 10**9
DAY_NS: Final = 86_400 * 10**9
DISCOUNT: Final = 0.99
RATE: Final = -math.log(DISCOUNT)
"""Of a year, which is how long the worked boards live."""

LIMITS: Final = ChainLimits()
EXACT: Final = ChainLimits(slack_ticks=0.0, fees_points=0.0, forward_deviations=0.0)
"""Whoever quotes at all may be taken at it."""

# What options are worth at a forward of 100: parity holds to the cent, call - put = 0.99·(100 - strike); and calls fall
# by 8.3, 6.5, 3.5, 1.6 from strike to strike, puts by the same in mirror, 8.3, 6.4, 3.4, 1.6: convex, and below 9.9.
_WORTH: Final = {80: (20.8, 1.0), 90: (12.5, 2.6), 100: (6.0, 6.0), 110: (2.5, 12.4), 120: (0.9, 20.7)}
BOARD: Final[dict[str, Quote]] = {
    f"{right}{strike}": (round(worth - 0.1, 2), round(worth + 0.1, 2))
    for strike, pair in _WORTH.items()
    for right, worth in zip("CP", pair, strict=True)
}


def e9(points: float) -> int:
    """Return points as an integer with exponent -9."""
    return round(points * 1e9)


def chain_of(strikes: Floats, is_call: Array, bid: Floats, ask: Floats, *, days: float, **fields: Any) -> Chain:
    """Return a chain of NQZ6 with these quotes, in points; NaN is null."""
    columns = {
        name: np.where(np.isnan(values), NULL, np.rint(np.nan_to_num(values) * 1e9).astype(np.int64))
        for name, values in (("bid", bid), ("ask", ask))
    }
    contracts = Contracts(
        strike=np.rint(strikes * 1e9).astype(np.int64),
        is_call=is_call,
        vendor_symbols=tuple(f"X{number}" for number in range(len(strikes))),
        columns=columns,
        flags=np.zeros(len(strikes), dtype=np.uint32),
    )
    chain = Chain(
        source="databento",
        vendor="databento",
        underlying="NQZ6",
        expiry=AS_OF + round(days * DAY_NS),
        series=None,
        vendor_series=None,
        style="european",
        settlement_method=None,
        multiplier=20 * 10**9,
        currency="USD",
        mode="live",
        as_of=AS_OF,
        fetched_at=AS_OF,
        published_at=AS_OF,
        delay_s=0.0,
        underlying_price=None,
        expected=len(strikes),
        expected_from="definitions",
        complete=True,
        contracts=contracts,
    )
    return replace(chain, **fields)


def board(quotes: Mapping[str, Quote], **fields: Any) -> Chain:
    """Return a chain that lives a year at a forward of 100, of contracts such as ``C110``, and of their partners."""
    strikes = sorted({float(name[1:]) for name in quotes})
    names = [f"{right}{strike:g}" for right in "CP" for strike in strikes]
    sides = np.array([quotes.get(name, (None, None)) for name in names], dtype=np.float64).reshape(-1, 2)
    return chain_of(
        np.array([float(name[1:]) for name in names]),
        np.array([name[0] == "C" for name in names], dtype=bool),
        sides[:, 0],
        sides[:, 1],
        days=365,
        **{"forward": Forward(100.0, "future"), "rate": RATE, **fields},
    )


def worked(changes: Mapping[str, Quote] | None = None, **fields: Any) -> Chain:
    """Return the worked board of five strikes, with other quotes for some."""
    return board({**BOARD, **(changes or {})}, **fields)


def with_columns(chain: Chain, **columns: Array) -> Chain:
    """Return the chain with other columns."""
    return replace(chain, contracts=replace(chain.contracts, columns={**chain.contracts.columns, **columns}))


def on_surface(
    *, future: float = 25_000.0, days: float = 7.0, wide: float = 0.06, step: float = 25.0, half_spread: float = 0.3
) -> Chain:
    """Return a chain around what options are worth on the simulator's surface, which is free of arbitrage."""
    strikes = np.arange(math.ceil(future * (1 - wide) / step), math.floor(future * (1 + wide) / step) + 1) * step
    strikes, is_call = np.tile(strikes, 2), np.arange(2 * len(strikes)) < len(strikes)
    years = np.full(len(strikes), days / 365)
    values, _ = option_values(np.full(len(strikes), future), strikes, years, is_call)
    bid = np.where(values > half_spread, values - half_spread, np.nan)
    fields = {"forward": Forward(future, "future"), "rate": INTEREST_RATE}
    return chain_of(strikes, is_call, bid, values + half_spread, days=days, **fields)


def check(chain: Chain, *, at_ns: int | None = None, limits: ChainLimits = LIMITS) -> ChainReport:
    """Return what the rules say of a chain at the moment that it is as of."""
    return check_chain(chain, at_ns=chain.as_of if at_ns is None else at_ns, limits=limits)


def raised(report: ChainReport) -> dict[str, Finding]:
    """Return the errors and warnings by rule, of which there must be one each."""
    found = [finding for finding in report.findings if finding.severity != "info"]
    assert len({finding.rule for finding in found}) == len(found), found
    return {finding.rule: finding for finding in found}


def short(names: tuple[str, ...]) -> list[str]:
    """Return the contracts' rights and strikes: ``C110``."""
    return [name.split()[-1] for name in names]
