"""Option chains in memory: the options of one expiry on one underlying future, a column per field.

The messages of ``md.chains.<source>.v1`` and ``md.chains.v1`` hold the same row by row (schemas/option-chain.v1.json).
Value, null and absent are three things: 0 is a value, null is what a vendor says it has not, absent is what it does not
speak of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from tapeline.errors import Bug
from tapeline.model.columns import INT64_MIN
from tapeline.model.frames import Array
from tapeline.model.instruments import Style

BEST_TOPIC: Final = "md.chains.v1"

Mode = Literal["live", "cache", "saved"]
MODES: Final[tuple[Mode, ...]] = get_args(Mode)
"""Asked of the vendor just now; asked a while ago and kept; read from files."""

SettlementMethod = Literal["vwap_fixing", "special_opening"]
SETTLEMENT_METHODS: Final[tuple[SettlementMethod, ...]] = get_args(SettlementMethod)

PriceFrom = Literal["quote", "trade", "settlement", "vendor"]
PRICES_FROM: Final[tuple[PriceFrom, ...]] = get_args(PriceFrom)
ForwardFrom = Literal["parity", "future"]
FORWARDS_FROM: Final[tuple[ForwardFrom, ...]] = get_args(ForwardFrom)
ExpectedFrom = Literal["definitions", "vendor_total"]
EXPECTED_FROM: Final[tuple[ExpectedFrom, ...]] = get_args(ExpectedFrom)
Precision = Literal["ns", "ms", "s", "minute", "day"]
PRECISIONS: Final[tuple[Precision, ...]] = get_args(Precision)

PRICES: Final = ("bid", "ask", "last", "settlement", "open", "high", "low", "change", "premium")
"""int64, exponent -9; in points, `premium` in money per contract."""
COUNTS: Final = ("bid_size", "ask_size", "volume", "open_interest")
"""int64, contracts."""
TIMES: Final = ("quote_at", "trade_at", "settlement_at", "open_interest_at")
"""int64, ns since the epoch: of bid and ask, of `last`, of what `settlement` and `open_interest` are of."""
GREEKS: Final = ("delta", "gamma", "theta", "vega")
FLOATS: Final = ("iv_bid", "iv_mid", "iv_ask", *GREEKS, "vendor_iv", *(f"vendor_{name}" for name in GREEKS))
"""float64: volatilities as fractions per root year, `delta` per point of the future, `gamma` per point squared, `theta`
in points per calendar day, `vega` in points per 0.01 of volatility. `vendor_…` are the vendor's own."""
TRUTHS: Final = ("last_is_settlement", "volume_is_stale")
"""int8: 1, 0."""
CODES: Final = ("trade_precision",)
"""int8: position in PRECISIONS."""

NULL: Final = INT64_MIN
ABSENT: Final = INT64_MIN + 1
"""Of PRICES, COUNTS and TIMES."""
NULL_CODE: Final = -1
ABSENT_CODE: Final = -2
"""Of TRUTHS and CODES. In FLOATS, NaN is null; a column that is not there is absent in all rows, of any type."""

FLAGS: Final = (
    "no_data",
    "one_sided",
    "crossed",
    "locked",
    "zero_size",
    "off_tick",
    "stale_volume",
    "stale_quote",
    "unpaired",
    "duplicate",
    "bounds",
    "vertical",
    "butterfly",
    "parity",
    "iv",
    "greeks",
    "expired",
)
"""What may be wrong with a contract, by the bit of `Contracts.flags`."""


def flag_bit(name: str) -> int:
    """Return the bit of a flag of FLAGS."""
    return 1 << FLAGS.index(name)


@dataclass(frozen=True, slots=True, eq=False)
class Contracts:
    """The contracts of a chain, all arrays of their number.

    `strike` is int64 with exponent -9; `vendor_symbols` are what the vendor calls them; `flags` (uint32) has a bit per
    name of FLAGS. `columns` holds what is known of PRICES, COUNTS, TIMES, FLOATS, TRUTHS and CODES.
    """

    strike: npt.NDArray[np.int64]
    is_call: npt.NDArray[np.bool_]
    vendor_symbols: tuple[str, ...]
    columns: Mapping[str, Array]
    flags: npt.NDArray[np.uint32]

    def __post_init__(self) -> None:
        count = len(self.strike)
        lengths = {len(self.is_call), len(self.vendor_symbols), len(self.flags), *map(len, self.columns.values())}
        if lengths - {count}:
            raise Bug(f"the columns of a chain differ in length: {count} strikes, and {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.strike)

    def integers(self, name: str) -> npt.NDArray[np.int64]:
        """Return a column of PRICES, COUNTS or TIMES; what is not there is ABSENT."""
        column = self.columns.get(name)
        return np.full(len(self), ABSENT, dtype=np.int64) if column is None else column

    def known(self, name: str) -> npt.NDArray[np.bool_]:
        """Return in which rows a field has a value: neither null nor absent."""
        column = self.columns.get(name)
        if column is None:
            return np.zeros(len(self), dtype=bool)
        known: npt.NDArray[np.bool_]
        if name in FLOATS:
            known = ~np.isnan(column)
        elif name in TRUTHS or name in CODES:
            known = column >= 0
        else:
            known = column > ABSENT
        return known

    def points(self, name: str) -> npt.NDArray[np.float64]:
        """Return a column of PRICES as float64 points; NaN where it has no value."""
        column = self.integers(name)
        points: npt.NDArray[np.float64] = np.where(column > ABSENT, column / 1e9, np.nan)
        return points


@dataclass(frozen=True, slots=True)
class Forward:
    """What the future is worth at expiry, as the chain itself says (`parity`) or the future's price (`future`).

    In points. By parity it is the median of (call - put)·e^(rate·years) + strike over `pairs`, whose standard deviation
    is `deviation`.
    """

    value: float
    source: ForwardFrom
    pairs: int = 0
    deviation: float | None = None


@dataclass(frozen=True, slots=True)
class UnderlyingPrice:
    """The underlying future's price (exponent -9), what kind of price it is, and of when (ns)."""

    value: int
    source: PriceFrom
    at: int | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the quality rules say of a chain: findings by rule (``30_completeness``), and how grave they are."""

    errors: int = 0
    warnings: int = 0
    rules: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One source's chain, as it stood when the best was chosen. `remark` says why it was passed over, or was not."""

    source: str
    mode: Mode
    as_of: int
    age_s: float
    complete: bool | None
    errors: int
    warnings: int
    eligible: bool
    remark: str


@dataclass(frozen=True, slots=True)
class Selection:
    """Why this chain is the best one now: `at` when it was judged, `since` when its source was chosen first (ns)."""

    reason: str
    at: int
    since: int
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Chain:
    """The options of one expiry on one underlying future, from one source. Times are ns since the epoch.

    `source` is the service it comes through, `vendor` who had the data: saved files of Barchart have ``saved`` and
    ``barchart``. `underlying` is the future's raw symbol (``NQZ6``), `series` the exchange's product code (``Q4D``)
    where it is known, `vendor_series` what the vendor calls it (``MM9X26``). `multiplier` (exponent -9) is money per
    point. `as_of` is when the newest quote in it held, as far as the source says; `fetched_at` when the vendor was
    asked or heard; `published_at` when this message was made; `delay_s` by how much the vendor delays its data.
    `expected` contracts are as `expected_from` says: only definitions prove that none is missing. `computed` names the
    fields that are our own computation, at the interest rate `rate` (continuous, per year); `approximate` marks those
    of a model for European options on American ones. `flags` are what is remarkable of the chain as a whole. `verdict`
    and `selection` are there on ``md.chains.v1``.
    """

    source: str
    vendor: str
    underlying: str
    expiry: int
    series: str | None
    vendor_series: str | None
    style: Style | None
    settlement_method: SettlementMethod | None
    multiplier: int | None
    currency: str | None
    mode: Mode
    as_of: int
    fetched_at: int
    published_at: int
    delay_s: float | None
    underlying_price: UnderlyingPrice | None
    expected: int | None
    expected_from: ExpectedFrom | None
    complete: bool | None
    contracts: Contracts
    forward: Forward | None = None
    rate: float | None = None
    computed: tuple[str, ...] = ()
    approximate: bool = False
    flags: tuple[str, ...] = ()
    verdict: Verdict | None = None
    selection: Selection | None = None

    @property
    def key(self) -> str:
        """The message's key, ``NQZ6/2026-11-26T21:00:00Z``: the same for every source."""
        return chain_key(self.underlying, self.expiry)

    @property
    def age_s(self) -> float:
        """How old the data was when the message was made, s."""
        return (self.published_at - self.as_of) / 1e9

    def symbols(self, rows: Sequence[int] | None = None) -> list[str]:
        """Return the contracts' canonical symbols, ``NQZ6 2026-11-26T21:00Z C25000``: the same for every source.

        `rows` are the positions of those wanted.
        """
        at = datetime.fromtimestamp(self.expiry // 10**9, UTC)
        head = f"{self.underlying} {at:%Y-%m-%dT%H:%MZ} "
        wanted = slice(None) if rows is None else list(rows)
        rights = np.where(self.contracts.is_call[wanted], "C", "P").tolist()
        return [
            f"{head}{right}{decimal_text(strike)}"
            for right, strike in zip(rights, self.contracts.strike[wanted].tolist(), strict=True)
        ]


def chain_key(underlying: str, expiry: int) -> str:
    """Return the key of a chain, on every topic of chains."""
    return f"{underlying}/{datetime.fromtimestamp(expiry // 10**9, UTC):%Y-%m-%dT%H:%M:%SZ}"


def chain_topic(source: str) -> str:
    """Return the topic of a source's chains, without the namespace."""
    return f"md.chains.{source}.v1"


def decimal_text(value: int) -> str:
    """Return a number with exponent -9 as exact decimal text, without trailing zeros: ``25000``, ``486.75``."""
    whole, fraction = divmod(abs(value), 10**9)
    digits = f"{fraction:09d}".rstrip("0")
    return ("-" if value < 0 else "") + str(whole) + ("." + digits if digits else "")
