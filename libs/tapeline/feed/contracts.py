"""What a producer says about the instruments it carries: md.instruments.v1, and which of them have quoted. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

import numpy as np
import numpy.typing as npt

from tapeline.feed.calendar import Calendar
from tapeline.feed.dbn_records import Array
from tapeline.feed.definitions import DefinitionDecoder
from tapeline.feed.framer import Ticks
from tapeline.feed.source import Announcement
from tapeline.model import instruments as instrument_model
from tapeline.model import quality as quality_model
from tapeline.model.instrument_codec import encode_instrument
from tapeline.model.instruments import Instrument
from tapeline.model.quality import ContractCompleteness, encode_quality
from tapeline.quality.completeness import Completeness
from tapeline.quality.parents import ParentCheck, check_option_parents

REPORT_EVERY_NS: Final = 60_000_000_000
"""Completeness of a stream is told at most so often, and only where it has changed."""
MOST_AT_ONCE: Final = 2_000
"""Most instruments that one call announces again for a new trading day, some 30 ms of work."""

_CLEAR: Final = ord("R")


@dataclass(slots=True)
class _Tracked:
    completeness: Completeness
    due_ns: int
    told: ContractCompleteness | None = None


class Contracts:
    """Announces the instruments of one dataset and tells which contracts of its parents' streams have quoted.

    `parents` are those whose definitions and quotes are both subscribed to. Every `now_ns` is the vendor's present time
    (ns since the epoch): what comes is of the trading day of that moment, however old a definition is.
    """

    def __init__(self, source: str, dataset: str, parents: Collection[str], calendar: Calendar, now_ns: int) -> None:
        self._source = source
        self._dataset = dataset
        self._parents = tuple(parents)
        self._calendar = calendar
        self._decoder = DefinitionDecoder(source, dataset)
        self._instruments: dict[int, Instrument] = {}
        self._to_repeat: deque[int] = deque()
        self._last_words: list[Announcement] = []
        self._parents_due_ns = 0
        self._begin_day(now_ns)

    def define(self, records: Array, now_ns: int) -> list[Instrument]:
        """Take definition records (a structured array); return the instruments that are new or have changed today."""
        self._roll(now_ns)
        news = []
        for instrument in self._decoder.decode(records, self._day):
            if self._is_news(instrument):
                self._instruments[instrument.instrument_id] = instrument
                self._track(instrument)
                news.append(instrument)
        return news

    def quote(self, ticks: Ticks) -> None:
        """Take note of which contracts `ticks` quote; those of another trading day are left out."""
        tracked = self._tracked.get(ticks.stream)
        if tracked is not None and ticks.kind in ("mbo", "l1"):
            tracked.completeness.quote(_quoting(ticks, self._begin_ns, self._end_ns))

    def due(self, now_ns: int) -> list[Announcement]:
        """Return what is to be said by now; call it every few seconds.

        These are the last words on a trading day that has ended, the instruments again that are valid on a new one, and
        the completeness of a stream that has changed.
        """
        self._roll(now_ns)
        announcements, self._last_words = self._last_words, []
        announcements += islice(self._repeated(), MOST_AT_ONCE)
        if self._calendar.is_open(now_ns):
            announcements += self._reports(now_ns)
        else:
            for tracked in self._tracked.values():
                tracked.due_ns = now_ns + REPORT_EVERY_NS
        return announcements

    def parents_due(self, now_ns: int) -> ParentCheck | None:
        """Return, once per trading day, how `parents` differ from those of the options whose definitions have come."""
        if not self._instruments or now_ns < self._parents_due_ns:
            return None
        self._parents_due_ns = self._end_ns + REPORT_EVERY_NS
        return check_option_parents(self._parents, self._instruments.values())

    def _roll(self, now_ns: int) -> None:
        if now_ns < self._end_ns:
            return
        for stream, tracked in self._tracked.items():
            result = tracked.completeness.result(self._end_ns, final=True)
            if tracked.told is not None or not _is_empty(result):
                self._last_words.append(Announcement(quality_model.TOPIC, stream, encode_quality(result)))
        self._begin_day(now_ns)

    def _begin_day(self, now_ns: int) -> None:
        self._day = self._calendar.trading_day(now_ns)
        self._begin_ns, self._end_ns = self._calendar.last_close(now_ns), self._calendar.day_end(now_ns)
        self._parents_due_ns = now_ns + REPORT_EVERY_NS
        self._tracked: dict[str, _Tracked] = {}
        for parent in self._parents:
            stream = f"{self._dataset}/{parent}"
            completeness = Completeness(self._source, stream, self._day, now_ns)
            self._tracked[stream] = _Tracked(completeness, now_ns + REPORT_EVERY_NS)
        self._instruments = {
            instrument_id: instrument
            for instrument_id, instrument in self._instruments.items()
            if instrument.update_action != "D" and not self._is_of_the_past(instrument)
        }
        self._to_repeat = deque(self._instruments)
        for instrument in self._instruments.values():
            self._track(instrument)

    def _track(self, instrument: Instrument) -> None:
        tracked = self._tracked.get(f"{self._dataset}/{instrument.parent}")
        if tracked is not None:
            tracked.completeness.define(instrument)

    def _is_news(self, instrument: Instrument) -> bool:
        known = self._instruments.get(instrument.instrument_id)
        if known is None:
            return not self._is_of_the_past(instrument)
        # A vendor repeats definitions, with a new time of receipt; a replay repeats the old ones of a week.
        return instrument.ts_recv >= known.ts_recv and instrument != replace(known, ts_recv=instrument.ts_recv)

    def _is_of_the_past(self, instrument: Instrument) -> bool:
        return instrument.expiry is not None and instrument.expiry < self._begin_ns

    def _reports(self, now_ns: int) -> Iterator[Announcement]:
        """Yield what has changed of the streams whose minute is over; 20,000 contracts take some 4 ms of work."""
        for stream, tracked in self._tracked.items():
            if tracked.due_ns <= now_ns:
                tracked.due_ns = now_ns + REPORT_EVERY_NS
                result = tracked.completeness.result(now_ns)
                if not _same(result, tracked.told):
                    tracked.told = result
                    yield Announcement(quality_model.TOPIC, stream, encode_quality(result))

    def _repeated(self) -> Iterator[Announcement]:
        while self._to_repeat:
            instrument = self._instruments[self._to_repeat.popleft()]
            if instrument.trading_day != self._day:
                instrument = replace(instrument, trading_day=self._day)
                self._instruments[instrument.instrument_id] = instrument
                yield announcement(instrument)


def announcement(instrument: Instrument) -> Announcement:
    """Return the message that tells of an instrument."""
    return Announcement(instrument_model.TOPIC, instrument.key, encode_instrument(instrument))


def _is_empty(result: ContractCompleteness) -> bool:
    return not (result.expected or result.unlisted or result.user_defined)


def _same(result: ContractCompleteness, told: ContractCompleteness | None) -> bool:
    return _is_empty(result) if told is None else result == replace(told, at=result.at)


def _quoting(ticks: Ticks, begin_ns: int, end_ns: int) -> npt.NDArray[np.int64]:
    """Return the ids of the rows within [begin, end) of receipt that quote: an empty or cleared book is no quote."""
    ids, times = ticks.instrument_ids, ticks.columns["ts_recv"]
    rows: list[npt.NDArray[np.bool_]] = []
    if not begin_ns <= int(times[0]) <= int(times[-1]) < end_ns:
        rows.append((times >= begin_ns) & (times < end_ns))
    cleared = ticks.columns["action"] == _CLEAR
    if cleared.any():
        rows.append(~cleared)
    if ticks.kind == "l1" and {"bid_price", "ask_price"} <= ticks.undefined.keys():
        has_side = np.ones(len(ids), dtype=bool)
        has_side[np.intersect1d(ticks.undefined["bid_price"], ticks.undefined["ask_price"], assume_unique=True)] = False
        rows.append(has_side)
    return ids[np.logical_and.reduce(rows)] if rows else ids
