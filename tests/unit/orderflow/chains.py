"""Chains for tests of forward and volatility: quotes around the simulator's true surface, and real ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import orjson

from tapeline.model.chains import NULL, Chain, Contracts
from tapeline.model.frames import Array
from tapeline.model.instruments import Style
from tapeline_simulator.surface import INTEREST_RATE, option_values, volatility

Floats = npt.NDArray[np.float64]

RATE = INTEREST_RATE
DAY_NS = 86_400 * 10**9
AS_OF = int(datetime(2026, 11, 23, 15, tzinfo=UTC).timestamp()) * 10**9


def e9(points: float | Floats | Sequence[float]) -> npt.NDArray[np.int64]:
    """Return points as integers with exponent -9."""
    return np.rint(np.asarray(points, dtype=np.float64) * 1e9).astype(np.int64)


def make_chain(
    strikes: Sequence[float] | Floats,
    is_call: Sequence[bool] | Array,
    bid: Sequence[float] | Floats,
    ask: Sequence[float] | Floats,
    *,
    days: float = 7.0,
    style: Style | None = "european",
) -> Chain:
    """Return a chain that expires `days` after AS_OF; NaN quotes are null."""
    columns: dict[str, Array] = {
        name: np.where(np.isnan(values), NULL, e9(np.nan_to_num(values)))
        for name, values in (("bid", np.asarray(bid, dtype=np.float64)), ("ask", np.asarray(ask, dtype=np.float64)))
    }
    contracts = Contracts(
        strike=e9(strikes),
        is_call=np.asarray(is_call, dtype=bool),
        vendor_symbols=tuple(f"X {number}" for number in range(len(strikes))),
        columns=columns,
        flags=np.zeros(len(strikes), dtype=np.uint32),
    )
    return Chain(
        source="databento",
        vendor="databento",
        underlying="NQZ6",
        expiry=AS_OF + round(days * DAY_NS),
        series=None,
        vendor_series=None,
        style=style,
        settlement_method=None,
        multiplier=20 * 10**9,
        currency="USD",
        mode="live",
        as_of=AS_OF,
        fetched_at=AS_OF,
        published_at=AS_OF,
        delay_s=0.0,
        underlying_price=None,
        expected=None,
        expected_from=None,
        complete=None,
        contracts=contracts,
    )


def changed(chain: Chain, columns: Mapping[str, Array]) -> Chain:
    """Return the chain with other columns."""
    contracts = replace(chain.contracts, columns={**chain.contracts.columns, **columns})
    return replace(chain, contracts=contracts)


@dataclass(frozen=True, slots=True)
class TrueSurface:
    """Strikes with call and put on the simulator's surface: what they are worth, and at which volatility."""

    future: float
    years: float
    strikes: Floats
    is_call: npt.NDArray[np.bool_]
    values: Floats
    volatilities: Floats
    vegas: Floats


def true_surface(future: float, days: float, *, step: float = 25.0, wide: float = 0.06) -> TrueSurface:
    """Return the surface within `wide` of the future, calls before puts; vegas are per 1.00."""
    years = days / 365
    lowest, highest = (round(future * (1 + sign * wide) / step) for sign in (-1, 1))
    strikes = np.tile(np.arange(lowest, highest + 1) * step, 2)
    is_call = np.arange(len(strikes)) < len(strikes) // 2
    futures, times = np.full(len(strikes), future), np.full(len(strikes), years)
    values, vegas = option_values(futures, strikes, times, is_call)
    return TrueSurface(future, years, strikes, is_call, values, volatility(np.log(strikes / future), times), vegas)


def quoted(surface: TrueSurface, half_spreads: float | Floats, *, days: float, shift: float | Floats = 0.0) -> Chain:
    """Return a chain whose bids and asks are so far from what the options are worth; `shift` is the middle's."""
    middles = surface.values + shift
    return make_chain(surface.strikes, surface.is_call, middles - half_spreads, middles + half_spreads, days=days)


def core_api_chain(payload: bytes, expiry: int, as_of: int) -> Chain:
    """Return the strikes, bids and asks of a saved answer of core-api; 0 is no quote."""
    document = orjson.loads(payload)
    while "Call" not in document:
        document = document["data"]
    rows = [(side == "Call", row["raw"]) for side in ("Call", "Put") for row in document[side]]
    quotes = {
        name: np.array([raw[field] or np.nan for _, raw in rows])
        for name, field in (("bid", "bidPrice"), ("ask", "askPrice"))
    }
    chain = make_chain([raw["strike"] for _, raw in rows], [is_call for is_call, _ in rows], **quotes)
    return replace(chain, expiry=expiry, as_of=as_of)
