"""A venue and its tape, for the tests that judge it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from tests.unit.simulator.venue_reading import FUTURES, SCHEMAS, SECOND, START, Day, Make, decoded

from tapeline_simulator.databento.tape import VendorTape
from tapeline_simulator.listings import ALL_SYMBOLS
from tapeline_simulator.venue import OptionSettings, Venue


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Make]:
    """Make a tape and the venue that fills it."""
    tapes = []

    def make(
        *,
        start_ns: int = START,
        seed: int = 7,
        rate: float = 2_000,
        futures: Sequence[str] = FUTURES,
        options: OptionSettings | None = None,
        dataset: str = "TAPELINE.SIM",
    ) -> tuple[VendorTape, Venue]:
        tape = VendorTape(dataset, tmp_path_factory.mktemp("tape"))
        tapes.append(tape)
        return tape, Venue(tape, seed=seed, start_ns=start_ns, records_per_s=rate, futures=futures, options=options)

    yield make
    for tape in tapes:
        tape.close()


@pytest.fixture(scope="session")
def day(make: Make) -> Day:
    tape, venue = make(options=OptionSettings(new_strike_after_s=5.0, trades_per_s=40.0))
    venue.advance(START + 15 * SECOND)
    records = {schema: decoded(tape, schema) for schema in SCHEMAS}
    listed = {
        each.instrument_id: each for each in tape.listings.resolve("raw_symbol", ALL_SYMBOLS, START + 15 * SECOND)
    }
    return Day(tape, venue, records, listed, {each.instrument_id: each for each in records["definition"]})
