"""Sessions of their own for single order books: a snapshot, and then that book's orders from there on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field, replace

from tapeline.errors import Retryable
from tapeline.feed.backoff import Backoff
from tapeline.feed.dbn_decoder import Decoded
from tapeline.feed.framer import Ticks
from tapeline.ops.logs import get_logger
from tapeline_databento.books import Books, Doubt
from tapeline_databento.client import GatewayProtocol
from tapeline_databento.errors import BooksLost
from tapeline_databento.merging import Merged
from tapeline_databento.normalize import InstrumentClasses, Normalizer

log = get_logger("databento")


@dataclass(eq=False, slots=True)
class Feed:
    """One connection; `doubt` is the book that it is there for, None for a line's own."""

    normalizer: Normalizer
    books: Books = field(default_factory=Books)
    doubt: Doubt | None = None
    has_begun: bool = True
    """Whether its snapshot has begun; what comes before that belongs to nobody."""
    is_left: bool = False
    """Whether another connection has taken its place."""

    @property
    def is_told(self) -> bool:
        """Whether orders came after its book's snapshot: before that, a replay would repeat what the snapshot holds."""
        return self.doubt is None or self.books.last_good(self.doubt.instrument_id) is not None

    def sift(self, ticks: Ticks) -> tuple[Ticks, list[Doubt]]:
        """Return what may be published of some orders, and the books that became doubtful."""
        if not self.has_begun:
            clears = ticks.columns["action"] == ord("R")
            if not clears.any():
                return ticks.cut(0, 0), []
            ticks = ticks.cut(int(clears.argmax()), len(ticks))
            self.has_begun = True
        return self.books.sift(ticks)

    def doubt_again(self) -> Doubt | None:
        """Return the doubt of its book once its connection has ended, None for a line's own."""
        if self.doubt is None:
            return None
        last_good = self.books.last_good(self.doubt.instrument_id)
        return replace(self.doubt, ts_event_from=last_good or self.doubt.ts_event_from)


@dataclass(frozen=True, slots=True)
class Ended:
    """The connection for one book ended."""

    reason: str


class BookSessions:
    """Opens at most `most` sessions for single books during one session of a line, called `name`.

    `open_book` connects, and asks for a snapshot of one raw symbol.
    """

    def __init__(
        self,
        name: str,
        dataset: str,
        classes: InstrumentClasses,
        open_book: Callable[[str], Awaitable[GatewayProtocol]],
        most: int,
    ) -> None:
        self._name = name
        self._dataset = dataset
        self._classes = classes
        self._open_book = open_book
        self._most = most
        self._feeds: list[Feed] = []

    @property
    def all_told(self) -> bool:
        """Whether every doubtful book was told anew, and has gone on since."""
        return all(feed.is_told for feed in self._feeds if not feed.is_left)

    async def mend(self, doubt: Doubt, of: Feed, merged: Merged[Feed, list[Decoded] | Ended]) -> None:
        """Let `merged` bring a book anew that became doubtful on the connection `of`.

        A connection that is there for this book alone is left. Raises BooksLost where it is one too many.
        """
        if len(self._feeds) >= self._most:
            raise BooksLost(
                f"{self._name}: the book of {doubt.symbol} is doubtful, and {len(self._feeds)} were mended before it:"
                " all begin anew"
            )
        if of.doubt is not None:
            await merged.remove(of)
            of.is_left = True
        normalizer = Normalizer(self._dataset, {"mbo": {doubt.symbol: doubt.stream}}, self._classes)
        feed = Feed(normalizer, doubt=doubt, has_begun=False)
        self._feeds.append(feed)
        merged.add(feed, self._session(doubt.symbol))

    async def _session(self, symbol: str) -> AsyncGenerator[list[Decoded] | Ended, None]:
        protocol: GatewayProtocol | None = None
        try:
            protocol = await self._opened(symbol)
            async for decoded in protocol.slices():
                yield decoded
        except Retryable as error:
            yield Ended(str(error))
        finally:
            if protocol is not None:
                protocol.transport.abort()

    async def _opened(self, symbol: str) -> GatewayProtocol:
        """Connect, however many attempts that takes: meanwhile that book is missing, and all else goes on."""
        backoff = Backoff(random.random)
        while True:
            try:
                return await self._open_book(symbol)
            except Retryable as error:
                wait_s = backoff.failed(asyncio.get_running_loop().time(), 0.0)
                log.warning(
                    "book not told anew yet",
                    line=self._name,
                    symbol=symbol,
                    reason=str(error),
                    next_attempt_s=round(wait_s, 3),
                )
                await asyncio.sleep(wait_s)
