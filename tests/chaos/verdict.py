"""What a fault left behind, against the vendor's own ledger: ticks lost or doubled, rows that are wrong, incidents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from confluent_kafka import Message
from tests.chaos.vendor import Vendor
from tests.integration.databento.ledger import Compared, compare
from tests.unit.orderflow.builders import slice_frame
from tests.unit.orderflow.holes import Key, Row, differing, joined, newest_rows

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.log import Log
from tapeline.errors import BadData
from tapeline.feed.calendar import calendar_of
from tapeline.feed.dbn_records import Array, to_columns
from tapeline.feed.framer import FrameLimits, Framer, Instrument, SessionIdentity, Ticks
from tapeline.model.backfill import EVENTS_TOPIC, BackfillEvent
from tapeline.model.codec import decode, encode
from tapeline.model.columns import F_SNAPSHOT
from tapeline.model.epochs import EpochGate
from tapeline.model.frames import Gap, TickFrame
from tapeline.model.incidents import TOPIC as INCIDENTS_TOPIC
from tapeline.model.incidents import Incident
from tapeline.model.windows import all_closed_ns
from tapeline.orderflow.partition import PartitionState
from tapeline_processor.app import sessions

SOURCE: Final = "databento"
KIND: Final = "mbo"
TICKS_TOPIC: Final = "md.ticks.databento.v1"
BACKFILL_TOPIC: Final = "md.ticks-backfill.databento.v1"
ROWS_TOPIC: Final = "md.pressure.v1"
LETTERS_TOPIC: Final = "md.dead-letters.v1"
_TAIL_NS: Final = 3_000_000_000
"""Windows that end within so long of the tape's end may still be open, and are not compared."""
_LONG_MS: Final = 10_000
_SETTLED_NS: Final = 10_000_000_000
"""Windows so long are open when a gap that ends in them is mended, and mended once all have been closed for so long."""
_LASTING: Final = "cumulative_volume_delta"
"""Corrected once, after the session's end, so of the windows since a gap it is not compared."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one fault. `incidents` were opened and closed once each, as it should be; `false_alarms` are all
    others."""

    fault: str
    lost: int
    duplicated: int
    wrong_rows: int
    incidents: int
    false_alarms: int
    ok: bool

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


class Tape:
    """What is on a broker's topics of one namespace."""

    def __init__(self, servers: str) -> None:
        self.servers = servers

    def messages(self, topic: str) -> list[Message]:
        """Return the committed messages of a topic, partition by partition."""
        found: list[Message] = []
        with Log(self.servers, "tapeline-chaos") as log:
            for partition in range(log.partitions(namespaced(topic))):
                first, end = log.bounds(namespaced(topic), partition)
                found += log.read(namespaced(topic), partition, first, end)
        return found

    def values(self, topic: str) -> list[bytes]:
        """Return what these messages hold."""
        return [message.value() or b"" for message in self.messages(topic)]

    def live(self) -> list[TickFrame]:
        """Return every live frame and mark that counts: what a fenced producer added, and what is none, is left out."""
        gate = EpochGate()
        return [
            frame for frame in _frames(self.values(TICKS_TOPIC)) if gate.admits(frame.source, frame.stream, frame.epoch)
        ]

    def backfilled(self) -> list[TickFrame]:
        """Return the frames that backfills have put on the tape."""
        return list(_frames(self.values(BACKFILL_TOPIC)))

    def backfill_events(self) -> dict[str, list[BackfillEvent]]:
        """Return the events of every request, in their order."""
        found: dict[str, list[BackfillEvent]] = defaultdict(list)
        for value in self.values(EVENTS_TOPIC):
            event = BackfillEvent.decode(value)
            found[event.request.id].append(event)
        return found

    def incidents(self) -> dict[str, list[Incident]]:
        """Return the records of every incident, in their order."""
        found: dict[str, list[Incident]] = defaultdict(list)
        for message in self.messages(INCIDENTS_TOPIC):
            if message.value() is not None:
                incident = Incident.decode(message.value() or b"")
                found[incident.id].append(incident)
        return found


def gaps_of(frames: Sequence[TickFrame]) -> list[Gap]:
    """Return the gaps in their last state, in the order of their beginning."""
    gaps: dict[str, Gap] = {}
    for frame in frames:
        if frame.gap is not None:
            gaps[frame.gap.id] = frame.gap
    return list(gaps.values())


def ledger(vendor: Vendor, live: Sequence[TickFrame], backfilled: Sequence[TickFrame]) -> Compared:
    """Compare what the vendor captured with all that is on the tape, live or filled in, whatever its order."""
    of_stream = [frame for frame in live if (frame.stream, frame.kind) == (vendor.stream, KIND)]
    return compare([vendor.orders()], [*of_stream, *backfilled], KIND, _first_recv(of_stream))


def wrong_rows(vendor: Vendor, live: Sequence[TickFrame], values: Sequence[bytes]) -> list[str]:
    """Return what the newest revisions of the rows have that rows of an undisturbed run have not, a line per field."""
    of_stream = [frame for frame in live if (frame.stream, frame.kind) == (vendor.stream, KIND)]
    begun, first = _until_live(of_stream)
    since = _since(vendor.orders(), first)
    frames = [*begun, *_framed(vendor, since, of_stream[0])]
    state = PartitionState(sessions())
    expected = newest_rows(message.value for frame in frames for message in state.apply(decode(encode(frame))))
    until_ns = int(since["ts_event"][-1]) - _TAIL_NS
    gaps = gaps_of(live)
    gap_ns = min((gap.ts_event_from or 0 for gap in gaps), default=until_ns)
    ends = [gap.ts_event_to for gap in gaps if gap.ts_event_to is not None]
    unsettled = [end_ns for end_ns in ends if all_closed_ns(end_ns) + _SETTLED_NS > until_ns]
    found, expected = (
        _of_run(rows, until_ns, gap_ns, unsettled)
        for rows in (newest_rows(value for value in values if b'"mbo"' in value), expected)
    )
    for key in found.keys() & expected.keys():
        # What the vendor itself is not sure of is told, and is in doubt.
        if "bad_book" in found[key]["reasons"] and any(_is_doubted(key, gap) for gap in gaps):
            found[key] = expected[key]
    return differing(found, expected)


def judged(
    fault: str,
    compared: Compared,
    wrong: Collection[str],
    incidents: dict[str, list[Incident]],
    expected: Collection[str],
) -> Verdict:
    """Return the verdict; of the incidents, one of the types in `expected` is right, none where that is empty."""
    right = [records for records in incidents.values() if records[-1].type in expected and _opened_and_closed(records)]
    counted = min(len(right), 1)
    false_alarms = len(incidents) - counted
    lost, duplicated, rows = (
        len(compared.lost),
        compared.doubled + compared.strangers,
        len({_key(line) for line in wrong}),
    )
    ok = not (lost or duplicated or rows or false_alarms) and counted == bool(expected) and compared.captured > 0
    return Verdict(fault, lost, duplicated, rows, counted, false_alarms, ok)


def _opened_and_closed(records: Sequence[Incident]) -> bool:
    states = [record.state for record in records]
    turns = [state for at, state in enumerate(states) if not at or states[at - 1] != state]
    # Where compaction was quick, only its end is left.
    return turns in (["open", "closed"], ["closed"])


def _frames(values: Sequence[bytes]) -> Iterator[TickFrame]:
    for value in values:
        try:
            yield decode(value)
        except BadData:
            continue


def _first_recv(frames: Sequence[TickFrame]) -> int:
    for frame in frames:
        alive = (frame.columns["flags"] & F_SNAPSHOT) == 0
        if alive.any():
            return int(frame.ts_recv()[alive][0])
    return 0


def _until_live(frames: Sequence[TickFrame]) -> tuple[list[TickFrame], TickFrame]:
    """Return the frames of the books that were told first, and the first tick after them as a frame of its own."""
    told = joined([frame for frame in frames if frame.session == frames[0].session])
    at = int(np.flatnonzero((told.columns["flags"] & F_SNAPSHOT) == 0)[0])
    return [slice_frame(told, 0, at, frame=0)] if at else [], slice_frame(told, at, at + 1)


def _since(orders: Array, first: TickFrame) -> Array:
    """Return the records from that of the tick `first` on: what its packet has before it, the books have told."""
    since = orders[orders["ts_recv"].astype(np.int64) >= int(first.ts_recv()[0])]
    is_first = since["order_id"] == first.columns["order_id"][0]
    is_first &= since["action"].view(np.uint8) == first.columns["action"][0]
    return since[int(np.flatnonzero(is_first)[0]) :]


def _framed(vendor: Vendor, orders: Array, first: TickFrame) -> Iterator[TickFrame]:
    """Yield the vendor's records as one session goes on with them."""
    columns, undefined = to_columns(orders, KIND)
    directory = {
        listing.instrument_id: Instrument(listing.raw_symbol, listing.instrument_class) for listing in vendor.listed()
    }
    ticks = Ticks(
        stream=vendor.stream,
        dataset=vendor.dataset,
        publisher_id=first.publisher_id,
        kind=KIND,
        instrument_ids=orders["instrument_id"].astype(np.int64),
        columns=columns,
        undefined=undefined,
        directory=directory,
        origin="live",
    )
    identity = SessionIdentity(SOURCE, first.session, first.epoch, "live")
    framer = Framer(identity, FrameLimits(), calendar_of(vendor.dataset))
    framer.next_frame = 1
    yield from framer.add(ticks, 1)
    yield from framer.finish(1)


def _of_run(rows: dict[Key, Row], until_ns: int, gap_ns: int, unsettled: Sequence[int]) -> dict[Key, Row]:
    kept: dict[Key, Row] = {}
    for key, row in rows.items():
        _, start_ns, window_ms = key
        end_ns = start_ns + window_ms * 1_000_000
        is_open = window_ms >= _LONG_MS and any(start_ns <= at_ns < end_ns for at_ns in unsettled)
        if end_ns <= until_ns and not is_open:
            kept[key] = row if end_ns <= gap_ns else {name: value for name, value in row.items() if name != _LASTING}
    return kept


def _is_doubted(key: Key, gap: Gap) -> bool:
    symbol, start_ns, window_ms = key
    if gap.reason != "F_MAYBE_BAD_BOOK" or symbol not in gap.symbols:
        return False
    return (gap.ts_event_from or 0) < start_ns + window_ms * 1_000_000 and start_ns <= (gap.ts_event_to or start_ns)


def _key(line: str) -> str:
    return line.partition(")")[0]
