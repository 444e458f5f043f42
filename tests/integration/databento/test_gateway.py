"""The live lines on the simulated gateway and venue: every record that was sent is an item, once, in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from tests.integration.databento.test_session import take, ticks_of
from tests.integration.simulator.live import eventually

from tapeline.errors import Refused, Retryable
from tapeline.feed.dbn_records import to_columns
from tapeline.feed.resume import TapeEnd
from tapeline.feed.source import Announcement, Item, Lost, Pair, Replayed
from tapeline.model.columns import F_SNAPSHOT
from tapeline_databento.errors import Disconnected, GatewayError
from tapeline_databento.settings import DatabentoSettings
from tapeline_databento.source import DatabentoSource, LiveLine
from tapeline_databento.subscriptions import KINDS
from tapeline_simulator.databento.books import VenueBooks
from tapeline_simulator.databento.gateway import Gateway
from tapeline_simulator.databento.session import Session
from tapeline_simulator.databento.tape import VendorTape
from tapeline_simulator.venue import OptionSettings, Venue

KEY = "db-0123456789abcdefghijklmnopqrs"
DATASET = "GLBX.MDP3"
START_NS = 1_790_000_000_000_000_000  # 2026-09-21T14:13:20Z, a Monday, the market is open
SECOND = 10**9
_TURN_S = 0.01


@dataclass
class Rig:
    """A venue whose time is moved by hand, its gateway, and the producer's lines."""

    vendor: VendorTape
    venue: Venue
    gateway: Gateway
    now_ns: int = START_NS

    def lines(self, subscriptions: str, **settings: object) -> dict[str, LiveLine]:
        given = {"api_key": KEY, "dataset": DATASET, "gateway": "127.0.0.1", "port": self.gateway.port, **settings}
        loaded = DatabentoSettings.model_validate({**given, "subscriptions": subscriptions})
        return {line.name: line for line in DatabentoSource(loaded, lambda: self.now_ns).lines()}

    async def trade(self, seconds: float) -> None:
        self.now_ns += round(seconds * SECOND)
        self.venue.advance(self.now_ns)

    async def until(self, what: str) -> list[Session]:
        """Wait until every session that is open is in the state `what`; return them."""
        await eventually(lambda: all(session.state == what for session in self.gateway.sessions))
        return self.gateway.sessions

    async def until_sent(self, begun: dict[str, int], *parents: str) -> None:
        """Wait until sessions were sent all of the market that is on the tape from the positions `begun` on."""
        ids = list(self.ids(*parents))
        wanted = 0
        for schema, begin in begun.items():
            records = self.vendor.read(schema, begin, self.vendor.end(schema))
            wanted += int(np.isin(records["instrument_id"], ids).sum())
        await eventually(lambda: sum(_sent(session, begun) for session in self.gateway.sessions) >= wanted)

    def ends(self, *schemas: str) -> dict[str, int]:
        return {schema: self.vendor.end(schema) for schema in schemas}

    def ids(self, *parents: str) -> set[int]:
        return {
            listing.instrument_id
            for parent in parents
            for listing in self.vendor.listings.resolve("parent", parent, self.now_ns)
        }


def _sent(session: Session, schemas: Iterable[str]) -> int:
    counts = session.ledger.counts()
    return sum(sum(counts.get(schema, {}).values()) for schema in schemas)


@asynccontextmanager
async def rig_in(folder: Path, *, options: OptionSettings | None = None) -> AsyncIterator[Rig]:
    vendor = VendorTape(DATASET, folder)
    venue = Venue(vendor, seed=1, start_ns=START_NS, records_per_s=1_000, futures=["NQZ6", "NQH7"], options=options)
    rigs: list[Rig] = []
    async with Gateway(vendor, keys=(KEY,), books=VenueBooks(venue), clock_ns=lambda: rigs[0].now_ns) as gateway:
        rigs.append(Rig(vendor, venue, gateway))
        yield rigs[0]
    vendor.close()


def has_last(rig: Rig, number: int) -> bool:
    """Return whether a session was sent the last order that is on the tape."""
    last = rig.vendor.read("mbo", rig.vendor.end("mbo") - 1, rig.vendor.end("mbo"))
    return any(bool((records == last).any()) for records in rig.gateway.sessions[number].ledger.sent("mbo"))


def rows(items: list[Item], stream: str, kind: str) -> dict[str, np.ndarray]:
    """Return the ticks of a stream and kind as one table of columns, snapshots left out."""
    found = [ticks for ticks in ticks_of(items) if (ticks.stream, ticks.kind) == (stream, kind)]
    names = found[0].columns if found else ()
    table = {name: np.concatenate([ticks.columns[name] for ticks in found]) for name in names}
    if found:
        table["instrument_id"] = np.concatenate([ticks.instrument_ids for ticks in found])
    if "flags" in table:
        live = (table["flags"] & F_SNAPSHOT) == 0
        table = {name: values[live] for name, values in table.items()}
    return table


def sent(session: Session, schema: str, ids: set[int]) -> dict[str, np.ndarray]:
    """Return what a session was sent of some instruments, as `rows` does."""
    kind = KINDS[schema]
    assert kind is not None
    tables: list[dict[str, np.ndarray]] = []
    for records in session.ledger.sent(schema):
        of_ids = records[np.isin(records["instrument_id"], list(ids))]
        if len(of_ids):
            columns, _ = to_columns(of_ids, kind)
            tables.append({**columns, "instrument_id": of_ids["instrument_id"].astype(np.int64)})
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]} if tables else {}


def assert_same(got: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    assert set(got) == set(wanted)
    for name, values in wanted.items():
        assert np.array_equal(got[name], values), name


async def test_every_schema_of_futures_and_options_comes_whole_over_three_lines(tmp_path: Path) -> None:
    quotes = OptionSettings(expiries=2, quotes_per_s=400.0, trades_per_s=40.0, new_strike_after_s=3.0)
    async with rig_in(tmp_path, options=quotes) as rig:
        listed = rig.vendor.listings.resolve("parent", "ALL_SYMBOLS", START_NS)
        options = sorted({listing.parent for listing in listed if listing.parent.endswith(".OPT")})
        parents, before = ["NQ.FUT", *options], rig.ids(*options)
        both = ",".join(parents)
        lines = rig.lines(
            f"mbo=NQ.FUT; mbp-1={both}; trades={','.join(options)}; status=NQ.FUT; statistics={both}; definition={both}"
        )
        begun = rig.ends("mbo", "mbp-1")
        taking = [asyncio.create_task(take(await line.connect({}))) for line in lines.values()]
        await rig.until("streaming")
        for _ in range(8):
            await rig.trade(1.0)
            await asyncio.sleep(_TURN_S)
        await rig.until_sent(begun, *parents)
        rig.gateway.faults.start("fin")
        taken = dict(zip(lines, [await each for each in taking], strict=True))
        assert all(isinstance(end, Disconnected) for _, end in taken.values())
        compared: dict[str, int] = {}
        for name, line in lines.items():
            for stream, kind in line.pairs:
                session, schema = next(
                    (session, each.schema)
                    for session in rig.gateway.sessions
                    for each in session.subscriptions
                    if KINDS[each.schema] == kind
                )
                wanted = sent(session, schema, rig.ids(stream.removeprefix(f"{DATASET}/")))
                assert_same(rows(taken[name][0], stream, kind), wanted)
                compared[schema] = compared.get(schema, 0) + len(wanted.get("ts_event", ()))
        assert compared["mbo"] > 6_000
        assert compared["mbp-1"] > 3_000
        assert compared["trades"] > 100
        quotes_of = [ticks for ticks in ticks_of(taken["quotes"][0]) if ticks.stream.endswith(".OPT")]
        quoted = {number for ticks in quotes_of for number in ticks.instrument_ids.tolist()}
        assert quoted & (rig.ids(*options) - before), "a strike that was listed later is quoted"
        assert not any(known.symbol.isdigit() for ticks in quotes_of for known in ticks.directory.values())
        announced = {item.key for item in taken["reference"][0] if isinstance(item, Announcement)}
        assert len(announced) >= len(rig.ids(*parents))


async def test_a_replay_brings_what_was_missed_and_goes_on_live(tmp_path: Path) -> None:
    pair: Pair = (f"{DATASET}/NQ.FUT", "mbo")
    async with rig_in(tmp_path) as rig:
        await rig.trade(5.0)
        (line,) = rig.lines("mbo=NQ.FUT").values()
        session = await line.connect({pair: TapeEnd(START_NS + 2 * SECOND, START_NS + SECOND)})
        taking = asyncio.create_task(take(session))
        await rig.until("streaming")
        await rig.trade(1.0)
        await eventually(lambda: has_last(rig, 0))
        rig.gateway.faults.start("fin")
        items, _ = await taking
        assert_same(rows(items, *pair), sent(rig.gateway.sessions[0], "mbo", rig.ids("NQ.FUT")))
        at = [number for number, item in enumerate(items) if isinstance(item, Replayed)]
        assert len(at) == 1
        replayed, live = ticks_of(items[: at[0]]), ticks_of(items[at[0] :])
        assert {ticks.origin for ticks in replayed} == {"replay"}
        assert {ticks.origin for ticks in live} == {"live"}
        first_ns = min(int(ticks.columns["ts_event"].min()) for ticks in replayed)
        assert START_NS + SECOND <= first_ns < START_NS + SECOND + SECOND // 10


async def test_a_book_that_the_vendor_doubts_goes_on_from_a_snapshot(tmp_path: Path) -> None:
    async with rig_in(tmp_path) as rig:
        (line,) = rig.lines("mbo=NQ.FUT").values()
        taking = asyncio.create_task(take(await line.connect({})))
        await rig.until("streaming")
        await rig.trade(1.0)
        rig.gateway.faults.start("bad-book", symbol="NQZ6")
        await rig.trade(1.0)
        await eventually(lambda: len(rig.gateway.sessions) == 2)
        rig.gateway.faults.clear()
        main, side = await rig.until("streaming")
        await rig.trade(1.0)
        await eventually(lambda: has_last(rig, 0) and side.ledger.counts())
        rig.gateway.faults.start("fin")
        items, end = await taking
        assert isinstance(end, Retryable)
        (lost,) = [item for item in items if isinstance(item, Lost)]
        assert lost.symbols == ("NQZ6",)
        (doubtful,) = rig.vendor.listings.resolve("raw_symbol", "NQZ6", rig.now_ns)
        stream = f"{DATASET}/NQ.FUT"
        everything, at = rows(items, stream, "mbo"), items.index(lost)
        before, after = rows(items[:at], stream, "mbo"), rows(items[at:], stream, "mbo")
        good = everything["instrument_id"] != doubtful.instrument_id
        others = rig.ids("NQ.FUT") - {doubtful.instrument_id}
        assert_same({name: values[good] for name, values in everything.items()}, sent(main, "mbo", others))
        of_doubtful = before["instrument_id"] == doubtful.instrument_id
        wanted = sent(main, "mbo", {doubtful.instrument_id})
        count = int(of_doubtful.sum())
        assert 0 < count < len(wanted["ts_event"])
        assert np.array_equal(before["ts_event"][of_doubtful], wanted["ts_event"][:count])
        anew = after["instrument_id"] == doubtful.instrument_id
        wanted = sent(side, "mbo", {doubtful.instrument_id})
        assert_same({name: values[anew] for name, values in after.items()}, wanted)
        anew_from = next(
            ticks for ticks in ticks_of(items[at:]) if doubtful.instrument_id in ticks.instrument_ids.tolist()
        )
        assert int(anew_from.columns["action"][0]) == ord("R")


@pytest.mark.parametrize(
    ("fault", "raised"),
    [("auth-failure", Refused), ("unentitled", Refused), ("revoked-key", Refused), ("connection-limit", GatewayError)],
)
async def test_a_gateway_that_refuses_is_told_as_a_retry_may_mend_it_or_not(
    tmp_path: Path, fault: str, raised: type[Exception]
) -> None:
    async with rig_in(tmp_path) as rig:
        (line,) = rig.lines("mbo=NQ.FUT").values()
        rig.gateway.faults.start(fault, seconds=60.0)
        with pytest.raises(raised) as told:
            await line.connect({})
        assert KEY not in str(told.value)
