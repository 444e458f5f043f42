"""A venue of its own for the site, where no other vendor shows it."""

from __future__ import annotations

from typing import Final

from tapeline.feed.dbn_records import Array
from tapeline_simulator.listings import Listings
from tapeline_simulator.market import DATASET, front_contracts, load_kernels
from tapeline_simulator.venue import OptionSettings, Venue

_FUTURES: Final = 2


class ForgottenTape:
    """A tape that keeps no record, only what is listed."""

    def __init__(self) -> None:
        self.dataset = DATASET
        self.listings = Listings()

    def append(self, schema: str, records: Array) -> None:
        """Forget records."""


def synthetic_venue(
    *, start_ns: int, seed: int = 1, records_per_s: float = 200.0, options: OptionSettings | None = None
) -> Venue:
    """Return a venue with options that has just opened; it shows quotes once it was advanced for a second.

    `venue_market.VenueMarket` shows it. Raises Misconfigured where an argument makes no market.
    """
    load_kernels()
    return Venue(
        ForgottenTape(),
        seed=seed,
        start_ns=start_ns,
        records_per_s=records_per_s,
        futures=front_contracts(start_ns, _FUTURES),
        options=options or OptionSettings(),
    )
