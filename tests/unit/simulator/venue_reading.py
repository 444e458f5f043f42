"""What several tests of the venue share: its tape read by Databento's own decoder, and a plain order book."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import databento_dbn as dbn

from tapeline_simulator.databento.tape import VendorTape
from tapeline_simulator.listings import Listing
from tapeline_simulator.venue import Venue

START = int(datetime(2026, 11, 23, 15, 0, tzinfo=UTC).timestamp()) * 10**9
QUARTERLY_WEEK = int(datetime(2026, 12, 14, 15, 0, tzinfo=UTC).timestamp()) * 10**9
SECOND = 10**9
FUTURES = ("NQZ6", "NQH7")
UNDEFINED = 2**63 - 1
NICKEL, QUARTER, FIVE = 50_000_000, 250_000_000, 5 * SECOND
SCHEMAS = {
    "mbo": dbn.MBOMsg,
    "mbp-1": dbn.MBP1Msg,
    "trades": dbn.TradeMsg,
    "statistics": dbn.StatMsg,
    "status": dbn.StatusMsg,
    "definition": dbn.InstrumentDefMsg,
}
Make = Callable[..., tuple[VendorTape, Venue]]
"""Make a tape and the venue that fills it."""


def raw(tape: VendorTape, schema: str) -> bytes:
    return tape.read(schema, 0, tape.end(schema)).tobytes()


def decoded(tape: VendorTape, schema: str) -> list[Any]:
    decoder = dbn.DBNDecoder(has_metadata=False, input_version=3)
    decoder.write(raw(tape, schema))
    records = list(decoder.decode())
    assert decoder.buffer() == b""
    return records


@dataclass
class Day:
    """Some seconds of a venue, decoded."""

    tape: VendorTape
    venue: Venue
    records: dict[str, list[Any]]
    listed: dict[int, Listing]
    definitions: dict[int, dbn.InstrumentDefMsg]


def of_options(day: Day, schema: str) -> list[Any]:
    return [each for each in day.records[schema] if day.listed[each.instrument_id].instrument_class in "CP"]


def is_on_grid(price: int) -> bool:
    return price % (NICKEL if price <= FIVE else QUARTER) == 0


class PlainBook:
    """Price levels as two dictionaries of orders; as simple as it can be."""

    def __init__(self) -> None:
        self.orders: dict[int, tuple[str, int, int]] = {}
        self.levels: dict[str, dict[int, dict[int, int]]] = {"B": defaultdict(dict), "A": defaultdict(dict)}

    def apply(self, record: dbn.MBOMsg) -> None:
        action = str(record.action)
        if action == "R":
            self.__init__()  # type: ignore[misc]
        if action in "CM":
            side, price, _ = self.orders.pop(record.order_id)
            del self.levels[side][price][record.order_id]
            if not self.levels[side][price]:
                del self.levels[side][price]
        if action in "AM":
            self.orders[record.order_id] = (str(record.side), record.price, record.size)
            self.levels[str(record.side)][record.price][record.order_id] = record.size

    def top(self) -> tuple[int, ...]:
        bid, ask = max(self.levels["B"], default=UNDEFINED), min(self.levels["A"], default=UNDEFINED)
        bids, asks = (dict(self.levels[side].get(price, {})) for side, price in (("B", bid), ("A", ask)))
        return bid, ask, sum(bids.values()), sum(asks.values()), len(bids), len(asks)


def shown(row: dbn.MBP1Msg) -> tuple[int, ...]:
    level = row.levels[0]
    return level.bid_px, level.ask_px, level.bid_sz, level.ask_sz, level.bid_ct, level.ask_ct


def told(record: Any) -> tuple[Any, ...]:
    return (
        record.instrument_id,
        record.ts_event,
        record.ts_recv,
        record.ts_in_delta,
        record.sequence,
        str(record.action),
        str(record.side),
        record.price,
        record.size,
    )
