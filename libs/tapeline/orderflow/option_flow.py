"""Turn trades of options into option flow: what was bought and sold, per underlying future, expiry and window.

The metrics are those of version 1 (Pan, Poteshman 2006; Hu 2014). There is a row per source, stream, kind, underlying,
expiry and window in which something traded. The trades of l1 (action T) and of trade frames are the same ones, told
twice: each kind has rows of its own, which are never to be added. What the definitions leave open is settled so:

Trades
: A trade is told of by T alone, with the side of its aggressor. Those without a size are passed over. A trade whose
  contract no definition names yet waits for it, and is late by then where its windows have closed.
Premium
: Null, too, where price or multiplier of a signed trade is not known.
Delta, vega
: Of the last chain whose `as_of` is not after the trade, at most 60 s before it. `delta_missing_volume` is the signed
  volume that has none; unsigned volume needs none. Delta is in futures, vega in points per 0.01 of volatility, times
  contracts. `chain_as_of` and `underlying_price` are those of the newest chain that the window's trades were valued by.
Gaps
: Where records of a window are missing, all of the row is null but what came late: parts of a sum are no sum.
User-defined spreads
: Only their volume counts, in lots of spreads, without a side, in the row of the expiry that their definition names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

from tapeline.model.chains import Chain
from tapeline.model.columns import F_SNAPSHOT, INT64_MIN
from tapeline.model.frames import TickFrame
from tapeline.orderflow.continuity import StreamTrack
from tapeline.orderflow.contracts import ContractBook
from tapeline.orderflow.flow_rows import messages_of
from tapeline.orderflow.flow_windows import Contract, OptionTrade
from tapeline.orderflow.frame_columns import Int64s, event_times, with_null
from tapeline.orderflow.kind_flow import KindFlow
from tapeline.orderflow.packing import PartitionCopy, Unpacker
from tapeline.orderflow.partition import RowMessage
from tapeline.orderflow.recent_chains import RecentChains

WINDOWS_MS: Final = (1_000, 10_000, 60_000)
KINDS: Final = ("mbo", "l1", "trade")

_IN_SCOPE: Final = "CPTM?"
_MOST_WAITING: Final = 10_000
"""Trades that wait for their definitions; the oldest are given up."""
_TRADED: Final = ord("T")


class Trade(NamedTuple):
    """A trade as a frame tells it: `side` is the aggressor's letter code, `price` has exponent -9."""

    symbol: str
    ts_event: int
    side: int
    price: int | None
    size: int


class OptionFlow:
    """All option streams of one partition of a ticks topic. `contracts` are shared by all of a worker.

    The rows depend on the frames of each stream in their order, on the definitions, and on the chains that came before;
    not on how ticks are spread over frames. `trades_undefined` counts the trades that were given up for want of a
    definition.
    """

    def __init__(self, contracts: ContractBook, windows_ms: Sequence[int] = WINDOWS_MS) -> None:
        self.contracts = contracts
        self._windows_ms = tuple(windows_ms)
        self._streams: dict[tuple[str, str], StreamTrack] = {}
        self._flows: dict[tuple[str, str, str], KindFlow] = {}
        self._chains = RecentChains()
        self._waiting: list[tuple[tuple[str, str, str], Trade]] = []
        self._tried_version = -1
        self.trades_undefined = 0

    def take_chain(self, chain: Chain) -> None:
        """Take a chain with delta and vega, which trades after its `as_of` are valued with."""
        self._chains.add(chain)

    def apply(self, frame: TickFrame) -> list[RowMessage]:
        """Take in a frame of any kind; return the rows of the windows that it closes, keyed by underlying and expiry.

        One message per kind, expiry and MESSAGE_BYTES.
        """
        stream = self._streams.get((frame.source, frame.stream))
        if stream is None:
            stream = self._streams[frame.source, frame.stream] = StreamTrack(frame.source, frame.stream, frame.dataset)
        if not stream.admits(frame):
            return []
        self._retry()
        if frame.kind in KINDS:
            self._ticks(stream, frame)
        elif frame.clock is not None:
            for kind, ts in frame.clock.items():
                if (flow := self._flows.get((frame.source, frame.stream, kind))) is not None:
                    flow.advance(ts)
        elif frame.gap is not None:
            for kind in frame.gap.kinds:
                if kind in KINDS:
                    self._flow(stream, kind).gap(frame.gap)
        return [
            message
            for (source, name, kind), flow in self._flows.items()
            if flow.closed
            for message in messages_of(flow.take_rows(), source, name, kind, self._windows_ms)
        ]

    # -- trades ------------------------------------------------------------------------------------------------------

    def _flow(self, stream: StreamTrack, kind: str) -> KindFlow:
        key = (stream.source, stream.stream, kind)
        flow = self._flows.get(key)
        if flow is None:
            lengths_ns = [length * 1_000_000 for length in self._windows_ms]
            flow = self._flows[key] = KindFlow(self.contracts, stream.dataset, lengths_ns)
        return flow

    def _ticks(self, stream: StreamTrack, frame: TickFrame) -> None:
        key = (frame.source, frame.stream, frame.kind)
        step = stream.follow(frame)
        if step == "repeated" or not len(frame):
            return
        has_options = any(letter in frame.classes for letter in _IN_SCOPE)
        if not has_options and (key not in self._flows or not self._flows[key].expiries):
            return
        flow, times = self._flow(stream, frame.kind), event_times(frame)
        if step == "anew":
            self._give_up(key)
            flow.begin_anew()
        if step == "lost" or (step == "anew" and frame.frame != 0):
            flow.lose_until(int(times[0]))
        flow.resume(int(times[0]))
        is_live = np.ones(len(times), dtype=bool) if "flags" not in frame.columns else _is_live(frame)
        watermarks = np.maximum.accumulate(np.where(is_live, times, INT64_MIN))
        for row, trade in _trades(frame, times, is_live):
            flow.advance(int(watermarks[row]))
            if not self._add(flow, trade):
                self._wait(key, trade)
        flow.advance(int(watermarks[-1]))

    def _add(self, flow: KindFlow, trade: Trade) -> bool:
        """Add a trade to the flow of its expiry; return whether its definition is there to say which."""
        instrument = self.contracts.find(flow.dataset, trade.symbol)
        expiry = None if instrument is None else self.contracts.counted_in(instrument)
        if instrument is None or expiry is None:
            return False
        if instrument.user_defined:
            flow.add(expiry, OptionTrade(trade.ts_event, trade.side, trade.price, trade.size))
        elif instrument.right is not None and instrument.strike is not None:
            is_call = instrument.right == "call"
            greeks = self._chains.before(expiry.underlying, expiry.at, instrument.strike, is_call, trade.ts_event)
            contract = Contract(is_call, instrument.strike, instrument.multiplier)
            flow.add(expiry, OptionTrade(trade.ts_event, trade.side, trade.price, trade.size, contract, greeks))
        return True

    # -- trades whose contracts nobody has defined yet ---------------------------------------------------------------

    def _wait(self, key: tuple[str, str, str], trade: Trade) -> None:
        self._waiting.append((key, trade))
        if len(self._waiting) > _MOST_WAITING:
            del self._waiting[0]
            self.trades_undefined += 1

    def _retry(self) -> None:
        """Add the trades whose contracts have been defined since."""
        if not self._waiting or self._tried_version == self.contracts.version:
            return
        self._tried_version = self.contracts.version
        self._waiting = [(key, trade) for key, trade in self._waiting if not self._add(self._flows[key], trade)]

    def _give_up(self, key: tuple[str, str, str]) -> None:
        """Forget the trades of a session that is over."""
        kept = [each for each in self._waiting if each[0] != key]
        self.trades_undefined += len(self._waiting) - len(kept)
        self._waiting = kept

    # -- checkpoints -------------------------------------------------------------------------------------------------

    def copy(self) -> PartitionCopy:
        """Copy the state as it is between two frames: what the contracts say is not in it.

        Of the chains it has those of expiries that have traded.
        """
        traded = {(expiry.underlying, expiry.at) for flow in self._flows.values() for expiry in flow.expiries}
        chains, arrays = self._chains.packed(traded)
        header = {
            "windows_ms": self._windows_ms,
            "trades_undefined": self.trades_undefined,
            "streams": [stream.document() for stream in self._streams.values()],
            "flows": [[*key, flow.dataset, flow.document()] for key, flow in self._flows.items()],
            "waiting": [[list(key), list(trade)] for key, trade in self._waiting],
            "chains": chains,
        }
        return PartitionCopy(orjson.dumps(header), arrays)

    @classmethod
    def from_unpacker(cls, unpacker: Unpacker, contracts: ContractBook) -> OptionFlow:
        """Return the state that was packed, to go on with these contracts."""
        header = unpacker.header
        state = cls(contracts, header["windows_ms"])
        state.trades_undefined = header["trades_undefined"]
        tracks = [StreamTrack.of(document) for document in header["streams"]]
        state._streams = {(track.source, track.stream): track for track in tracks}
        for source, stream, kind, dataset, document in header["flows"]:
            flow = state._flow(StreamTrack(source, stream, dataset), kind)
            flow.restore(document)
        state._waiting = [(tuple(key), Trade(*trade)) for key, trade in header["waiting"]]
        state._chains = RecentChains.of(header["chains"], unpacker)
        return state


def _is_live(frame: TickFrame) -> npt.NDArray[np.bool_]:
    is_live: npt.NDArray[np.bool_] = (frame.columns["flags"] & F_SNAPSHOT) == 0
    return is_live


def _trades(frame: TickFrame, times: Int64s, is_live: npt.NDArray[np.bool_]) -> Iterator[tuple[int, Trade]]:
    """Yield the trades of options in a frame, each with its row."""
    in_scope = np.array([letter in _IN_SCOPE for letter in frame.classes], dtype=bool)
    is_trade = is_live & in_scope[frame.columns["symbol"]]
    if frame.kind != "trade":
        is_trade &= frame.columns["action"] == _TRADED
    rows = np.flatnonzero(is_trade)
    if not len(rows):
        return
    columns = (
        frame.columns["symbol"],
        times,
        frame.columns["side"],
        with_null(frame, "price"),
        with_null(frame, "size"),
    )
    for row, symbol, ts, side, price, size in zip(
        rows.tolist(), *(column[rows].tolist() for column in columns), strict=True
    ):
        if size != INT64_MIN:
            yield row, Trade(frame.symbols[symbol], ts, side, None if price == INT64_MIN else price, size)
