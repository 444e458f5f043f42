"""The synthetic market, judged from its records alone by a plain book and by Databento's own decoder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import databento_dbn as dbn
import numpy as np
import pytest

from tapeline.errors import Misconfigured
from tapeline.model.columns import F_LAST, F_SNAPSHOT
from tapeline_simulator import exchange
from tapeline_simulator.dbn_output import head
from tapeline_simulator.market import Market, front_contracts, instrument_id

START = 1_790_000_000_000_000_000  # 2026-09-21T14:13:20Z
SYMBOLS = ("NQZ6", "NQH7")
SECOND = 10**9


def market(seed: int = 7, rate: float = 4_000, symbols: Iterable[str] = SYMBOLS) -> Market:
    return Market(list(symbols), seed=seed, records_per_s=rate, start_ns=START)


def records(source: Market, seconds: float, *, snapshot: bool = True) -> bytes:
    out = [source.snapshot().tobytes()] if snapshot else []
    out += [batch.tobytes() for batch in source.batches(START + int(seconds * SECOND))]
    return b"".join(out)


@pytest.fixture(scope="module")
def tape() -> list[dbn.MBOMsg]:
    """The records of a minute, as the official decoder reads them."""
    source = market()
    decoder = dbn.DBNDecoder()
    decoder.write(head(source) + records(source, 60))
    metadata, *decoded = decoder.decode()
    assert isinstance(metadata, dbn.Metadata)
    assert decoder.buffer() == b""
    assert all(type(record) is dbn.MBOMsg for record in decoded)
    return decoded


class PlainBook:
    """An order book of one instrument as simply as it can be written; it asserts what a venue keeps."""

    def __init__(self) -> None:
        self.orders: dict[int, tuple[str, int, int]] = {}

    def apply(self, record: dbn.MBOMsg) -> None:
        action, order_id = str(record.action), record.order_id
        if action == "R":
            self.orders.clear()
        elif action == "A":
            assert order_id not in self.orders
            assert record.size > 0
            self.orders[order_id] = (str(record.side), record.price, record.size)
        elif action == "C":
            side, price, size = self.orders.pop(order_id)
            assert (side, price, size) == (str(record.side), record.price, record.size)
        elif action == "M":
            assert self.orders[order_id][0] == str(record.side)
            assert record.size > 0
            self.orders[order_id] = (str(record.side), record.price, record.size)

    def top(self) -> tuple[int, int]:
        bid = max(price for side, price, _ in self.orders.values() if side == "B")
        ask = min(price for side, price, _ in self.orders.values() if side == "A")
        return bid, ask


def events(tape: list[dbn.MBOMsg]) -> Iterable[list[dbn.MBOMsg]]:
    """Yield the live events in their order: the records of an instrument up to and with F_LAST."""
    event: list[dbn.MBOMsg] = []
    for record in tape:
        if not record.flags & F_SNAPSHOT:
            event.append(record)
            if record.flags & F_LAST:
                yield event
                event = []
    assert not event, "the tape ends within an event"


# -- determinism -----------------------------------------------------------------------------------------------------


def test_a_seed_gives_the_same_bytes_however_the_time_is_cut() -> None:
    whole = records(market(), 5)
    source = market()
    pieces = [source.snapshot().tobytes()]
    for tenth in range(50):
        pieces += [batch.tobytes() for batch in source.batches(START + (tenth + 1) * SECOND // 10)]
    assert b"".join(pieces) == whole
    assert len(whole) > 5 * 1_000 * 56


def test_another_seed_is_another_market() -> None:
    assert records(market(seed=1), 1) != records(market(seed=2), 1)


# -- on the wire -----------------------------------------------------------------------------------------------------


def test_it_begins_with_a_snapshot_of_every_instrument(tape: list[dbn.MBOMsg]) -> None:
    snapshot = [record for record in tape if record.flags & F_SNAPSHOT]
    assert snapshot == tape[: len(snapshot)]
    assert list(dict.fromkeys(record.instrument_id for record in snapshot)) == [instrument_id(s) for s in SYMBOLS]
    for symbol in SYMBOLS:
        clear, *adds = [record for record in snapshot if record.instrument_id == instrument_id(symbol)]
        assert (str(clear.action), str(clear.side), clear.price, clear.order_id) == ("R", "N", 2**63 - 1, 0)
        assert (clear.size, clear.sequence) == (0, 0)
        assert {str(record.action) for record in adds} == {"A"}
        assert [record.flags for record in [clear, *adds]] == [40] * len(adds) + [168]
        assert len({record.ts_recv for record in [clear, *adds]}) == 1
        assert START <= clear.ts_recv <= START + exchange.MAX_LATENCY_NS
        assert all(record.ts_event <= START for record in adds)
        assert [record.ts_event for record in adds] == sorted(record.ts_event for record in adds)
        assert len(adds) > 1_000


def test_live_flags_are_last_or_nothing_and_events_are_of_one_instrument_and_moment(tape: list[dbn.MBOMsg]) -> None:
    for event in events(tape):
        assert [record.flags for record in event] == [0] * (len(event) - 1) + [F_LAST]
        assert len({(record.instrument_id, record.ts_event) for record in event}) == 1
        assert len({record.order_id for record in event}) == len(event) or len(event) > 2


def test_times_and_packets_never_go_back(tape: list[dbn.MBOMsg]) -> None:
    live = np.array([(r.ts_event, r.ts_recv, r.sequence, r.ts_in_delta) for r in tape if not r.flags & F_SNAPSHOT])
    ts_event, ts_recv, sequence, ts_in_delta = live.T
    assert ts_event[0] > START
    assert (np.diff(live[:, :3], axis=0) >= 0).all()
    assert (ts_recv >= ts_event).all()
    assert (ts_recv - ts_event <= exchange.MAX_LATENCY_NS).all()
    assert (ts_in_delta >= 11_000).all()
    assert np.median(ts_in_delta) < 20_000
    jumps = np.diff(sequence)
    assert (jumps == 0).any()
    assert (jumps == 1).any()
    assert (jumps > 5).any()


def test_one_event_can_span_packets(tape: list[dbn.MBOMsg]) -> None:
    assert any(len({record.sequence for record in event}) > 1 for event in events(tape))


# -- the book --------------------------------------------------------------------------------------------------------


def test_a_plain_book_never_meets_an_unknown_order_and_is_never_crossed(tape: list[dbn.MBOMsg]) -> None:
    books = {instrument_id(symbol): PlainBook() for symbol in SYMBOLS}
    spreads: Counter[int] = Counter()
    for count, record in enumerate(tape):
        books[record.instrument_id].apply(record)
        # every end of an event would be quadratic: each tenth of them, and prices are checked against the book below
        if record.flags & F_LAST and count % 10 == 0:
            bid, ask = books[record.instrument_id].top()
            assert bid < ask
            spreads[(ask - bid) // 250_000_000] += 1
    assert (spreads[1] + spreads[2]) / spreads.total() > 0.9
    assert spreads[2] / spreads.total() > 0.05


def test_prices_are_whole_ticks_and_move_but_not_away(tape: list[dbn.MBOMsg]) -> None:
    first = [r for r in tape if r.instrument_id == instrument_id("NQZ6")]
    assert all(record.price % 250_000_000 == 0 for record in first if str(record.action) != "R")
    prints = [record.price for record in first if str(record.action) == "T"]
    assert len(set(prints)) > 5
    assert 24_000e9 < min(prints) < max(prints) < 26_000e9


def test_every_trade_is_matched_by_fills_and_by_what_leaves_the_book(tape: list[dbn.MBOMsg]) -> None:
    books = {instrument_id(symbol): PlainBook() for symbol in SYMBOLS}
    for record in tape:
        if record.flags & F_SNAPSHOT:
            books[record.instrument_id].apply(record)
    shapes: Counter[str] = Counter()
    for event in events(tape):
        book = books[event[0].instrument_id]
        before = {r.order_id: book.orders[r.order_id] for r in event if r.order_id in book.orders}
        trades = [record for record in event if str(record.action) == "T"]
        if trades:
            bid, ask = book.top()
            aggressor = trades[0].order_id
            side = str(trades[0].side)
            fills = [record for record in event if str(record.action) == "F"]
            others = [record for record in fills if record.order_id != aggressor]
            assert {(record.order_id, str(record.side)) for record in trades} == {(aggressor, side)}
            assert sum(record.size for record in trades) == sum(record.size for record in others)
            assert trades[0].price == (ask if side == "B" else bid), "trading begins at the touch"
            walked = [record.price for record in trades]
            assert walked == sorted(set(walked), reverse=side == "A"), "and goes on price by price"
            for fill in others:
                resting_side, price, size = before[fill.order_id]
                assert (resting_side, price) == (str(fill.side), fill.price) != (side, price)
                after = [r for r in event if r.order_id == fill.order_id and str(r.action) in "CM"]
                assert len(after) == 1, "one C or M per filled order"
                left = after[0].size if str(after[0].action) == "M" else 0
                if size - left == fill.size:
                    shapes["full" if left == 0 else "partial"] += 1
                else:
                    assert fill.size > size - left, "only an iceberg gives more than it showed"
                    shapes["iceberg"] += 1
            shapes["amended" if aggressor in before else "new"] += 1
            shapes["sweep"] += len(trades) > 1
            shapes["rests"] += str(event[-1].action) == "A" and event[-1].order_id == aggressor
            if aggressor in before:
                own = [record for record in fills if record.order_id == aggressor]
                assert sum(record.size for record in own) == sum(record.size for record in trades)
        for record in event:
            book.apply(record)
    assert all(shapes[shape] > 0 for shape in ("full", "partial", "iceberg", "amended", "new", "sweep", "rests")), (
        shapes
    )


def test_fills_take_the_oldest_order_of_the_price_first(tape: list[dbn.MBOMsg]) -> None:
    queues: dict[tuple[int, int, str], list[int]] = {}
    where: dict[tuple[int, int], tuple[int, int, str]] = {}
    size_of: dict[tuple[int, int], int] = {}

    def leave(key: tuple[int, int]) -> None:
        queues[where.pop(key)].remove(key[1])

    def join(record: dbn.MBOMsg, key: tuple[int, int]) -> None:
        where[key] = (record.instrument_id, record.price, str(record.side))
        queues.setdefault(where[key], []).append(key[1])

    checked = 0
    for event in ([r] for r in tape if r.flags & F_SNAPSHOT):
        if str(event[0].action) == "A":
            join(event[0], (event[0].instrument_id, event[0].order_id))
            size_of[event[0].instrument_id, event[0].order_id] = event[0].size
    for event in events(tape):
        fills = [r.order_id for r in event if str(r.action) == "F" and (str(r.side) != str(event[0].side))]
        for price in dict.fromkeys(r.price for r in event if str(r.action) == "F"):
            at = [r for r in event if str(r.action) == "F" and r.price == price and str(r.side) != str(event[0].side)]
            queue = queues[event[0].instrument_id, price, str(at[0].side)]
            assert [r.order_id for r in at] == queue[: len(at)]
            checked += 1
        for record in event:
            key, action = (record.instrument_id, record.order_id), str(record.action)
            if action == "A":
                join(record, key)
                size_of[key] = record.size
            elif action == "C":
                leave(key)
                del size_of[key]
            elif action == "M":
                refreshed = (
                    record.order_id in fills
                    and sum(r.size for r in event if str(r.action) == "F" and r.order_id == record.order_id)
                    >= size_of[key]
                )
                moved = where[key][1] != record.price
                if moved or refreshed or (record.order_id not in fills and record.size > size_of[key]):
                    leave(key)
                    join(record, key)
                size_of[key] = record.size
    assert checked > 1_000


# -- the flow --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [500, 50_000])
def test_the_rate_is_the_one_asked_for(rate: float) -> None:
    seconds = 200_000 / rate
    count = sum(len(batch) for batch in market(rate=rate).batches(START + int(seconds * SECOND)))
    assert count == pytest.approx(200_000, rel=0.1)


def test_arrivals_come_in_bursts() -> None:
    times = np.frombuffer(records(market(rate=2_000), 60, snapshot=False), dtype="<i8").reshape(-1, 7)[:, 1]
    per_tenth = np.bincount((times - START) // (SECOND // 10))
    assert per_tenth.var() / per_tenth.mean() > 50, "1 in a Poisson process, 8 without the bursts"


def test_books_stay_of_one_size_and_prices_within_their_grid_over_millions_of_records() -> None:
    source = market(rate=50_000)
    for seconds in (40, 80, 120):
        for _ in source.batches(START + seconds * SECOND):
            pass
        adds = len(source.snapshot()) - len(SYMBOLS)
        assert 1_000 < adds / len(SYMBOLS) < 4_000
        prices = source.snapshot()["price"]
        prices = prices[prices < 2**63 - 1]
        assert 23_900e9 < prices.min() < prices.max() < 26_400e9


def test_when_packet_numbers_run_out_the_books_are_told_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    source = market()
    source._state.clock[exchange.PACKET] = exchange.LAST_SEQUENCE - 100
    batches = [batch.copy() for batch in source.batches(START + SECOND)]
    again = [i for i, batch in enumerate(batches) if batch["flags"][0] & F_SNAPSHOT]
    assert len(again) == 1
    before, after = np.concatenate(batches[: again[0]]), np.concatenate(batches[again[0] + 1 :])
    assert before["sequence"].max() < 2**32 - 1
    assert after["sequence"].max() < 100_000
    assert len(after) > 1_000
    book = PlainBook()
    for batch in batches[again[0] :]:
        decoder = dbn.DBNDecoder(has_metadata=False)
        decoder.write(batch[batch["instrument_id"] == instrument_id("NQZ6")].tobytes())
        for record in decoder.decode():
            book.apply(record)


@pytest.mark.parametrize(("symbols", "rate"), [([], 100), (["NQZ6", "NQZ6"], 100), (["NQZ6"], 0), (["NQZ6"], 1e9)])
def test_what_makes_no_market_is_refused(symbols: list[str], rate: float) -> None:
    with pytest.raises(Misconfigured):
        Market(symbols, seed=1, records_per_s=rate, start_ns=START)


def test_front_contracts_follow_the_quarters() -> None:
    day = 86_400 * SECOND
    assert front_contracts(START, 2) == ["NQZ6", "NQH7"]  # 21 September 2026: September has rolled
    assert front_contracts(START - 20 * day, 2) == ["NQU6", "NQZ6"]
    assert front_contracts(START + 100 * day, 1) == ["NQH7"]
