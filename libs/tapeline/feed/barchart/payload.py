"""The answer of ``core-api/v1/quotes/get`` to an option chain: exact numbers from its formatted texts. Pure."""

from __future__ import annotations

from typing import Final

from tapeline.feed.barchart.series import VendorSeries
from tapeline.model.chains import Chain, Mode, UnderlyingPrice

VENDOR: Final = "barchart"
DELAY_S: Final = 900.0
"""The vendor delays futures options by at least so much."""


def parse_chain(
    payload: bytes,
    series: VendorSeries,
    *,
    source: str,
    mode: Mode,
    fetched_at: int,
    published_at: int,
    underlying_price: UnderlyingPrice | None = None,
) -> Chain:
    """Return the chain of `series` in `payload`, which the vendor gave at `fetched_at` (ns).

    Raises BadData, which names row and field, where it is anything else.
    """
    raise NotImplementedError


def parse_quote(payload: bytes, vendor_symbol: str) -> UnderlyingPrice:
    """Return the price of a future (``NQM25``) from the answer to ``quotes/get?symbols=NQM25&raw=1``.

    Raises BadData where it has none.
    """
    raise NotImplementedError
