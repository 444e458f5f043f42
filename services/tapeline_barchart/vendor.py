"""Whom chains are asked of, whichever way that is: the site, or OnDemand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tapeline.feed.barchart.page import ListedSeries
from tapeline.model.chains import UnderlyingPrice
from tapeline_barchart.kept import AnswerForm
from tapeline_barchart.replies import Answer


@dataclass(frozen=True, slots=True)
class Listing:
    """The vendor's list of a product's series, and what it says of those that could not be told for certain."""

    series: tuple[ListedSeries, ...]
    unresolved: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked so far: calls, failed ones too, and bytes of answers."""

    calls: int = 0
    bytes: int = 0


class Vendor(Protocol):
    """Answers, or raises: HeldOff and the other FetchFailed where another attempt may help, Refused where none will."""

    @property
    def form(self) -> AnswerForm:
        """What its answers to series are written in."""

    @property
    def asked(self) -> Asked:
        """What was asked so far."""

    async def listing(self, product: str) -> Listing:
        """Return the vendor's list of a product's series. Raises SeriesUnknown where it is empty."""

    async def chain(self, listed: ListedSeries) -> Answer:
        """Return the vendor's answer to a series, not yet read."""

    async def underlying_price(self, listed: ListedSeries) -> UnderlyingPrice | None:
        """Return the price of the future under a series, None where the vendor has none."""

    async def close(self) -> None:
        """Leave. May be called again."""
