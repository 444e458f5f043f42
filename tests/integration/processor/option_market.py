"""A market of options that quotes right now: definitions, quotes on the simulator's true surface, vendors' chains."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from threading import Event, Thread
from typing import Any

import numpy as np
from tests.integration.processor.tape import BEST, INSTRUMENTS, Tape
from tests.unit.orderflow.builders import l1_frame
from tests.unit.orderflow.options import option, quotes
from tests.unit.quality.chain_builders import chain_of

from tapeline.bus.partitioner import partition_of
from tapeline.model.chain_codec import decode_chain, encode_chain
from tapeline.model.chains import Chain, Mode, UnderlyingPrice, chain_topic
from tapeline.model.frames import TickFrame
from tapeline.model.instrument_codec import encode_instrument
from tapeline_simulator.surface import option_values

E9 = 10**9
DAY_S = 86_400
FUTURE = 25_000.0
STRIKES = np.arange(24_400.0, 25_601.0, 25.0)
PAUSE_S = 0.25
FUTURES_STREAM = "GLBX.MDP3/NQ.FUT#0"


class OptionMarket:
    """Weekly options on NQZ6, one stream per expiry; the stream's number is its shard."""

    def __init__(self, tape: Tape, expiries: int = 1) -> None:
        self.tape = tape
        self.began_ns = time.time_ns()
        today = self.began_ns // (DAY_S * E9)
        self.expiries = [(today + 7 + number) * DAY_S * E9 for number in range(expiries)]
        self.day = datetime.fromtimestamp(self.began_ns // E9, UTC).date().isoformat()
        self._frames = 0
        self._stop = Event()

    def define(self) -> None:
        """Put the definitions of all contracts."""
        for number in range(len(self.expiries)):
            for symbol in self.symbols(number):
                defined = option(symbol, expiry=self.expiries[number], trading_day=self.day)
                key = f"GLBX.MDP3/{self.day}/{symbol}".encode()
                self.tape.put_raw(encode_instrument(defined), partition=0, key=key, topic=INSTRUMENTS)
        self.tape.flush()

    def symbols(self, number: int) -> list[str]:
        """Return the raw symbols of an expiry: the calls, then the puts."""
        return [f"Q{number}DZ6 {right}{strike:.0f}" for right in "CP" for strike in STRIKES]

    def keys(self) -> list[str]:
        """Return the keys of all chains."""
        return [self.vendor_chain(number=number).key for number in range(len(self.expiries))]

    def values(self, number: int, now_ns: int) -> Any:
        """Return what calls, then puts, are worth, in points."""
        count = len(STRIKES)
        years = np.full(2 * count, (self.expiries[number] - now_ns) / E9 / DAY_S / 365)
        values, _ = option_values(np.full(2 * count, FUTURE), np.tile(STRIKES, 2), years, np.arange(2 * count) < count)
        return values

    def frames(self) -> Iterator[TickFrame]:
        """Yield what every stream tells right now, the future's first."""
        now_ns, number = time.time_ns(), self._frames
        self._frames += 1
        common = {"frame": number, "trading_day": self.day, "origin": "live", "source": "databento"}
        bid, ask = round((FUTURE - 0.25) * E9), round((FUTURE + 0.25) * E9)
        tick = [(now_ns, "A", "B", bid, 5, bid, 5, ask, 5)]
        yield l1_frame(tick, stream=FUTURES_STREAM, symbols=("NQZ6",), **common)
        for expiry in range(len(self.expiries)):
            # Bids and asks breathe by a tick, or nothing would be new.
            half_spread = 0.75 if number % 2 else 1.0
            bids, asks = (np.rint((self.values(expiry, now_ns) + side * half_spread) * 4) / 4 for side in (-1, 1))
            rows = [
                (now_ns, "A", row, round(bid * E9) if bid > 0 else None, 10, round(ask * E9), 10)
                for row, (bid, ask) in enumerate(zip(bids.tolist(), asks.tolist(), strict=True))
            ]
            yield quotes(rows, self.symbols(expiry), stream=f"GLBX.MDP3/Q{expiry}D.OPT#{expiry}", **common)

    @contextmanager
    def quoting(self) -> Iterator[None]:
        """Quote while the block runs."""
        stop = Event()

        def work() -> None:
            while not stop.wait(PAUSE_S):
                self.tape.put(self.frames())

        thread = Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def vendor_chain(
        self, source: str = "barchart", mode: Mode = "live", *, number: int = 0, age_s: float = 0.0, **fields: Any
    ) -> Chain:
        """Return a chain as a vendor tells it: without forward, volatilities and proof of completeness."""
        as_of = time.time_ns() - round(age_s * E9)
        values = self.values(number, as_of)
        expected = len(values)
        chain = chain_of(
            np.tile(STRIKES, 2),
            np.arange(expected) < len(STRIKES),
            np.where(values > 1.0, values - 1.0, math.nan),
            values + 1.0,
            days=7.0,
        )
        told: dict[str, Any] = {"source": source, "vendor": source, "mode": mode, "expiry": self.expiries[number]}
        told |= {"as_of": as_of, "fetched_at": as_of, "published_at": as_of, "expected_from": "vendor_total"}
        told |= {"underlying_price": UnderlyingPrice(round(FUTURE * E9), "vendor", as_of)}
        return replace(chain, **told | fields)

    def put_chain(self, chain: Chain) -> None:
        """Put a chain on its source's topic."""
        partition = partition_of(chain.key, self.tape.partitions)
        self.tape.put_raw(
            encode_chain(chain), partition=partition, key=chain.key.encode(), topic=chain_topic(chain.source)
        )
        self.tape.flush()

    def chains(self, topic: str = BEST) -> list[Chain]:
        """Return the chains on a topic, per key in their order."""
        return [decode_chain(message.value() or b"") for message in self.tape.read(topic)]

    def newest(self) -> dict[str, Chain]:
        """Return the newest best chain of each key."""
        return {chain.key: chain for chain in self.chains()}

    def await_best(self, origin: str, keys: Sequence[str], *, timeout_s: float = 40.0) -> dict[str, Chain]:
        """Wait until the best chain of each key comes from `origin`; return these."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            newest = self.newest()
            origins = {key: origin_of(newest[key]) if key in newest else "none" for key in keys}
            if set(origins.values()) == {origin}:
                return {key: newest[key] for key in keys}
            reasons = {key: chain.selection and chain.selection.candidates for key, chain in newest.items()}
            assert time.monotonic() < deadline_s, f"waited in vain for {origin}: {origins}, {reasons}"
            time.sleep(0.1)


def origin_of(chain: Chain) -> str:
    """Return source and mode of a best chain, ``none`` where it is only the last one."""
    return "none" if "no_eligible_source" in chain.flags else f"{chain.source}/{chain.mode}"
