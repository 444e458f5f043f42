"""The venue's definitions and quotes, read as a producer reads them: what is listed, what never quotes, what is new."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Final

import numpy as np
import pytest

from tapeline.feed.calendar import cme_globex_equity
from tapeline.feed.contracts import Contracts, announcement
from tapeline.feed.dbn_records import Array, to_columns
from tapeline.feed.framer import Instrument as FrameInstrument
from tapeline.feed.framer import Ticks
from tapeline.model.instrument_codec import decode_instrument
from tapeline.model.instruments import Instrument
from tapeline.model.quality import ContractCompleteness, decode_quality
from tapeline.quality.parents import ParentCheck, option_parents
from tapeline_simulator.listings import Listing, Listings
from tapeline_simulator.venue import OptionSettings, Venue

SECOND: Final = 1_000_000_000
START: Final = int(datetime(2026, 11, 23, 15, tzinfo=UTC).timestamp()) * SECOND
SECONDS: Final = 150
NEW_STRIKE_S: Final = 70


class Tape:
    def __init__(self) -> None:
        self.dataset = "GLBX.MDP3"
        self.listings = Listings()
        self.captured: dict[str, list[Array]] = {}

    def append(self, schema: str, records: Array) -> None:
        self.captured.setdefault(schema, []).append(records)

    def all(self, schema: str) -> Array:
        return np.concatenate(self.captured[schema])


@pytest.fixture(scope="module")
def venue() -> Tape:
    tape = Tape()
    options = OptionSettings(expiries=3, quotes_per_s=3_000, trades_per_s=20, new_strike_after_s=NEW_STRIKE_S)
    Venue(tape, seed=3, start_ns=START, records_per_s=50, futures=["NQZ6", "NQH7"], options=options).advance(
        START + SECONDS * SECOND
    )
    return tape


@pytest.fixture(scope="module")
def read(venue: Tape) -> SimpleNamespace:
    """What a producer says that reads definitions and quotes as they are captured."""
    listed = listings(venue)
    parents = sorted({listing.parent for listing in listed})
    contracts = Contracts("databento", "GLBX.MDP3", parents, cme_globex_equity(), START)
    definitions, quotes = venue.all("definition"), venue.all("mbp-1")
    instruments: list[Instrument] = []
    reports: list[ContractCompleteness] = []
    for second in range(SECONDS):
        now_ns = START + second * SECOND
        for records in within(definitions, second):
            news = contracts.define(records, now_ns)
            instruments += (decode_instrument(announcement(each).value) for each in news)
        for records in within(quotes, second):
            for ticks in streams(records, {each.instrument_id: each for each in listed}):
                contracts.quote(ticks)
        reports += (decode_quality(said.value) for said in contracts.due(now_ns))
    return SimpleNamespace(contracts=contracts, instruments=instruments, reports=reports)


def listings(venue: Tape) -> list[Listing]:
    return venue.listings.resolve("raw_symbol", "ALL_SYMBOLS", START + SECONDS * SECOND)


def within(records: Array, second: int) -> Iterator[Array]:
    """Yield the records captured in a second of the run; the first one has all that was there before."""
    begin, end = (0 if second == 0 else START + second * SECOND), START + (second + 1) * SECOND
    chosen = records[(records["ts_recv"] >= begin) & (records["ts_recv"] < end)]
    if len(chosen):
        yield chosen


def streams(records: Array, by_id: dict[int, Listing]) -> Iterator[Ticks]:
    columns, undefined = to_columns(records, "l1")
    parents = np.array([by_id[instrument_id].parent for instrument_id in records["instrument_id"].tolist()])
    whole = Ticks(
        stream="",
        dataset="GLBX.MDP3",
        publisher_id=1,
        kind="l1",
        instrument_ids=records["instrument_id"].astype(np.int64),
        columns=columns,
        undefined=undefined,
        directory={each: FrameInstrument(by_id[each].raw_symbol, "?") for each in by_id},
        origin="live",
    )
    for parent in np.unique(parents):
        rows = np.flatnonzero(parents == parent)
        yield Ticks(
            f"GLBX.MDP3/{parent}",
            "GLBX.MDP3",
            1,
            "l1",
            whole.instrument_ids[rows],
            {name: values[rows] for name, values in columns.items()},
            {name: np.flatnonzero(np.isin(rows, marked)) for name, marked in undefined.items()},
            whole.directory,
            "live",
        )


def test_every_listing_is_an_instrument(venue: Tape, read: SimpleNamespace) -> None:
    assert sorted(each.raw_symbol for each in read.instruments) == sorted(each.raw_symbol for each in listings(venue))
    by_id = {each.instrument_id: each for each in read.instruments}
    for listing in listings(venue):
        said = by_id[listing.instrument_id]
        assert (said.parent, said.instrument_class, said.expiry) == (
            listing.parent,
            listing.instrument_class,
            listing.expires_ns,
        )
        assert said.user_defined == listing.raw_symbol.startswith("UD:")
        assert bool(said.legs) == said.user_defined


def test_options_on_nq_are_those_of_the_parents(read: SimpleNamespace) -> None:
    parents = {each.parent for each in read.instruments if each.right}
    assert option_parents(read.instruments, "NQ") == parents
    assert read.contracts.parents_due(START + SECONDS * SECOND) == ParentCheck((), ())


def test_what_never_quotes_is_missing_and_nothing_else(venue: Tape, read: SimpleNamespace) -> None:
    quotes = venue.all("mbp-1")
    columns, undefined = to_columns(quotes, "l1")
    empty = np.intersect1d(undefined["bid_price"], undefined["ask_price"]) if len(undefined) == 2 else []
    quoting = np.setdiff1d(np.flatnonzero(columns["action"] != ord("R")), empty)
    last: dict[str, ContractCompleteness] = {report.stream: report for report in read.reports}
    for stream, report in last.items():
        until = quotes["ts_recv"] < report.at + SECOND
        seen = set(quotes["instrument_id"][quoting[until[quoting]]].tolist())
        outright = [
            each
            for each in listings(venue)
            if f"GLBX.MDP3/{each.parent}" == stream and each.instrument_class in "FCP" and each.listed_ns <= report.at
        ]
        missing = sorted(each.raw_symbol for each in outright if each.instrument_id not in seen)
        assert (report.expected, report.missing) == (len(outright), len(missing))
        assert report.missing_symbols == tuple(missing[:100])
        assert report.unlisted == 0
    assert any(report.missing for report in last.values())
    assert any(report.user_defined for report in last.values())
    assert len(last) >= 4


def test_a_strike_listed_during_the_day_is_expected_from_then_on(venue: Tape, read: SimpleNamespace) -> None:
    new = [each for each in listings(venue) if each.listed_ns == START + NEW_STRIKE_S * SECOND]
    assert len(new) == 2
    stream = f"GLBX.MDP3/{new[0].parent}"
    before, after, *_ = [report for report in read.reports if report.stream == stream]
    assert after.expected == before.expected + 2
