"""Assemble live option chains from the ticks of the option streams of one partition.

There is one chain per source, underlying future and expiry, from its first quote to its expiry. What the fields say:

Contracts
: Every option that the definitions list, whether it has quoted or not: what nobody has spoken of is absent. `complete`
  says that no contract of the series has ticks without a definition.
Quotes
: The last row of l1. An empty side is null, and so is a cleared book (R). A trade's row shows the quote before the
  trade and is no quote.
`last`
: The latest trade by its own time, whichever kind has told of it.
`volume`
: What was cleared on the day that the clearing house names, which is not the session's volume: the trades seen here
  may be fewer than the exchange's. It is marked stale where that day is before the trading day.
`settlement`, `open_interest`
: With the day that they are of. The final word of a day replaces the preliminary one; an earlier day replaces nothing.
The flag `gap`
: Records of a stream of these contracts are missing right now: a gap is open.
The flag `stale_quote` of a contract
: Its quote stood when records were lost: in a gap, at a jump of the frames' numbers, or as a session began anew. It
  holds until the contract quotes again, as a snapshot does for all. A pass over saved files that begins anew tells of
  another time: it begins from nothing.
The flag `not_trading`
: All contracts whose status is known do not trade.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import orjson

from tapeline.model.chains import Chain, UnderlyingPrice
from tapeline.model.frames import Gap, TickFrame
from tapeline.orderflow.board import OF_KIND, WIDTH, QuoteBoard
from tapeline.orderflow.continuity import EVERY_SYMBOL, StreamTrack
from tapeline.orderflow.contracts import ContractBook, Listed
from tapeline.orderflow.frame_columns import Int64s, receive_times
from tapeline.orderflow.live_chain import LiveChain, build_chain
from tapeline.orderflow.packing import PartitionCopy, Unpacker
from tapeline.orderflow.roster import IN_SCOPE, Roster

INTERVAL_NS: Final = 10**9
"""A chain is told of at most once in this time."""


class ChainAssembler:
    """All option streams of one partition of a ticks topic. `contracts` are shared by all of a worker.

    `frames_of_lower_epoch` and `frames_repeated` count what was passed over.
    """

    def __init__(self, contracts: ContractBook) -> None:
        self.contracts = contracts
        self._board = QuoteBoard()
        self._roster = Roster(contracts, self._board)
        self._streams: dict[tuple[str, str], StreamTrack] = {}
        self._day = ""
        self.frames_of_lower_epoch = 0
        self.frames_repeated = 0

    def apply(self, frame: TickFrame) -> None:
        """Take in a frame of any kind."""
        stream = self._streams.get((frame.source, frame.stream))
        if stream is None:
            stream = StreamTrack(frame.source, frame.stream, frame.dataset, number=len(self._streams))
            self._streams[frame.source, frame.stream] = stream
        if not stream.admits(frame):
            self.frames_of_lower_epoch += 1
        elif frame.gap is not None:
            self._gap(stream, frame.gap)
        elif frame.kind in OF_KIND:
            self._ticks(stream, frame)

    def due(self, now_ns: int, underlyings: Mapping[tuple[str, str], UnderlyingPrice]) -> list[Chain]:
        """Return what changed, at most one chain per second and key; without forward and volatilities.

        `underlyings`: what futures are worth now, by source and raw symbol, for what one source replays is of another
        time than what another sends; a change of these alone makes no chain due. `now_ns` becomes `published_at`.
        """
        self._roster.place()
        chains = []
        for number, live in enumerate(self._roster.chains):
            listing = self.contracts.listing(live.expiry)
            is_early = 0 <= now_ns - live.published_at < INTERVAL_NS
            if listing is None or is_early or not self._roster.changed[number]:
                continue
            self._roster.changed[number] = False
            chain = self._chain(live, listing.listed(), now_ns, underlyings.get((live.source, live.expiry.underlying)))
            if chain is not None:
                live.published_at = now_ns
                chains.append(chain)
        return chains

    # -- frames ------------------------------------------------------------------------------------------------------

    def _ticks(self, stream: StreamTrack, frame: TickFrame) -> None:
        step = stream.follow(frame)
        if step == "repeated":
            self.frames_repeated += 1
            return
        if step != "next":
            self._lose(stream, frame, is_anew=step == "anew")
        if not any(letter in frame.classes for letter in IN_SCOPE):
            return
        # What is sent again may be of the day before, while another kind is live.
        if frame.trading_day > self._day or (frame.trading_day < self._day and frame.origin != "replay"):
            self._day = frame.trading_day
            self._roster.begin_day(int(receive_times(frame)[0]))
        self._roster.mark_changed(self._board.take(frame, self._roster.slots_of(frame), stream.number))

    def _lose(self, stream: StreamTrack, frame: TickFrame, *, is_anew: bool) -> None:
        slots = self._board.slots_of_stream(stream.number)
        if is_anew and frame.origin in ("saved", "backfill"):
            self._board.forget(frame.kind, slots)
        elif frame.kind == "l1":
            self._board.doubt(slots)
        self._roster.mark_changed(slots)

    def _gap(self, stream: StreamTrack, gap: Gap) -> None:
        slots = self._slots_in(stream, gap)
        if stream.note(gap) and "l1" in gap.kinds:
            self._board.doubt(slots)
        self._roster.mark_changed(slots)

    def _slots_in(self, stream: StreamTrack, gap: Gap) -> Int64s:
        if gap.symbols == (EVERY_SYMBOL,):
            return self._board.slots_of_stream(stream.number)
        return self._roster.known_slots(stream.source, stream.dataset, gap.symbols)

    # -- chains ------------------------------------------------------------------------------------------------------

    def _chain(
        self, live: LiveChain, listed: Listed, now_ns: int, underlying_price: UnderlyingPrice | None
    ) -> Chain | None:
        return build_chain(
            live,
            listed,
            self._board.cells[:, live.slots],
            trading_day=self._day,
            now_ns=now_ns,
            underlying_price=underlying_price,
            has_gap=self._has_gap(live),
            is_complete=not self._roster.has_undefined(live.source, live.expiry.dataset, listed.vendor_series),
        )

    def _has_gap(self, live: LiveChain) -> bool:
        return any(
            np.isin(self._slots_in(stream, gap), live.slots).any()
            for stream in self._streams.values()
            if stream.source == live.source
            for gap in stream.gaps.values()
            if gap.state == "open" and OF_KIND.keys() & set(gap.kinds)
        )

    # -- checkpoints -------------------------------------------------------------------------------------------------

    def copy(self) -> PartitionCopy:
        """Copy the state as it is between two frames; what the contracts say is not in it."""
        header = {
            "day": self._day,
            "counts": [self.frames_of_lower_epoch, self.frames_repeated],
            "slots": self._board.used,
            "streams": [stream.document() for stream in self._streams.values()],
            "roster": self._roster.document(),
        }
        return PartitionCopy(orjson.dumps(header), [self._board.cells[:, : self._board.used].copy()])

    @classmethod
    def from_unpacker(cls, unpacker: Unpacker, contracts: ContractBook) -> ChainAssembler:
        """Return the state that was packed, to go on with these contracts."""
        state, header = cls(contracts), unpacker.header
        state._day = header["day"]
        state.frames_of_lower_epoch, state.frames_repeated = header["counts"]
        state._board.replace(unpacker.array(np.int64, (WIDTH, header["slots"])))
        state._roster = Roster.of(header["roster"], contracts, state._board)
        tracks = [StreamTrack.of(document) for document in header["streams"]]
        state._streams = {(track.source, track.stream): track for track in tracks}
        return state
