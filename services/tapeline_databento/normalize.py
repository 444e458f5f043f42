"""Records of a live session -> ticks per stream: by symbol mappings, which hold for that session only. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

import numpy as np

from tapeline.errors import BadData
from tapeline.feed.dbn_decoder import DbnBatch
from tapeline.feed.dbn_records import Array
from tapeline.feed.framer import Instrument, Ticks
from tapeline.feed.instrument_class import UNKNOWN_CLASS, instrument_class
from tapeline.feed.selection import rows
from tapeline.model.columns import TickKind
from tapeline.model.frames import Origin

_FEW_INSTRUMENTS: Final = 16
"""A directory is grown up to so many, as frames look faster through a short one."""

Routes = Mapping[TickKind, Mapping[str, str]]
"""Per kind, the stream of each symbol that is subscribed to."""


class InstrumentClasses:
    """The instrument class per raw symbol: what its definition said, else what its form tells."""

    def __init__(self, dataset: str) -> None:
        self._dataset = dataset
        self._defined: dict[str, str] = {}
        self.changes = 0
        """How often a definition has told something that the form had not."""

    def learn(self, symbol: str, letter: str) -> None:
        """Take note of what a definition says."""
        if self.of(symbol) != letter != UNKNOWN_CLASS:
            self._defined[symbol] = letter
            self.changes += 1

    def of(self, symbol: str) -> str:
        """Return the DBN instrument class, `?` where it is not known."""
        return self._defined.get(symbol) or instrument_class(self._dataset, symbol)


class Normalizer:
    """Turns the batches of one session into ticks of the streams that `routes` names.

    An instrument belongs to the stream of the symbol that the gateway has mapped to it.
    """

    def __init__(self, dataset: str, routes: Routes, classes: InstrumentClasses) -> None:
        self._dataset = dataset
        self._routes = routes
        self._classes = classes
        self._changes = classes.changes
        self._instruments: dict[int, Instrument] = {}
        self._streams: dict[TickKind, dict[int, str]] = {kind: {} for kind in routes}
        self._only_stream = {
            kind: next(iter(streams.values())) for kind, streams in routes.items() if len(streams) == 1
        }
        self._ids_of: defaultdict[str, set[int]] = defaultdict(set)
        self._directories: dict[TickKind, dict[int, Instrument]] = {kind: {} for kind in routes}

    def learn(self, mappings: Array) -> None:
        """Take note of symbol mappings, which hold until the next one of the same instrument id."""
        columns = (mappings[name].tolist() for name in ("instrument_id", "stype_in_symbol", "stype_out_symbol"))
        for instrument_id, asked_bytes, raw_bytes in zip(*columns, strict=True):
            asked, raw = asked_bytes.decode("ascii", "replace"), raw_bytes.decode("ascii", "replace")
            self.map(instrument_id, asked, raw)

    def map(self, instrument_id: int, asked: str, raw: str) -> None:
        """Let an id stand for a raw symbol, which the symbol `asked` was resolved to, until it is mapped anew."""
        self._instruments[instrument_id] = Instrument(raw, self._classes.of(raw))
        for kind, streams in self._routes.items():
            if asked in streams:
                self._streams[kind][instrument_id] = streams[asked]
                self._ids_of[streams[asked]].add(instrument_id)

    def ids_of(self, stream: str) -> set[int]:
        """Return the instrument ids that are mapped to `stream`."""
        return self._ids_of[stream]

    def symbol(self, instrument_id: int) -> str:
        """Return the raw symbol of an instrument, its number where it was not mapped."""
        known = self._instruments.get(instrument_id)
        return str(instrument_id) if known is None else known.symbol

    def ticks(self, batch: DbnBatch, origin: Mapping[str, Origin]) -> list[Ticks]:
        """Return the batch as ticks, one entry per stream; `origin` says where each stream's ticks come from.

        An instrument without a mapping is named by its number. Raises BadData where it could be of several streams.
        """
        ids = batch.instrument_id.astype(np.int64)
        present = ids[:1] if (ids == ids[0]).all() else np.unique(ids)
        streams = [self._stream(batch.kind, instrument_id) for instrument_id in present.tolist()]
        directory = self._directory(batch.kind, present.tolist())
        named = dict.fromkeys(streams)
        whole = [
            Ticks(
                stream=stream,
                dataset=self._dataset,
                publisher_id=batch.publisher_id,
                kind=batch.kind,
                instrument_ids=ids,
                columns=batch.columns,
                undefined=batch.undefined,
                directory=directory,
                origin=origin.get(stream, "live"),
            )
            for stream in named
        ]
        if len(whole) == 1:
            return whole
        number_of = {stream: number for number, stream in enumerate(named)}
        stream_numbers = np.array([number_of[stream] for stream in streams])[np.searchsorted(present, ids)]
        return [rows(ticks, np.flatnonzero(stream_numbers == number)) for number, ticks in enumerate(whole)]

    def _stream(self, kind: TickKind, instrument_id: int) -> str:
        stream = self._streams.get(kind, {}).get(instrument_id) or self._only_stream.get(kind)
        if stream is None:
            raise BadData(
                f"instrument {instrument_id}", f"must be mapped to a symbol that is subscribed to, before its {kind}"
            )
        return stream

    def _directory(self, kind: TickKind, present: list[int]) -> dict[int, Instrument]:
        """Return what the ids mean, and perhaps others; a directory that frames may hold is never changed."""
        if self._changes != self._classes.changes:
            self._changes = self._classes.changes
            for instrument_id, known in self._instruments.items():
                self._instruments[instrument_id] = Instrument(known.symbol, self._classes.of(known.symbol))
        directory = self._directories[kind]
        if all(directory.get(instrument_id) is self._instrument(instrument_id) for instrument_id in present):
            return directory
        found = {instrument_id: self._instrument(instrument_id) for instrument_id in present}
        grown = directory | found
        self._directories[kind] = found if len(grown) > _FEW_INSTRUMENTS else grown
        return self._directories[kind]

    def _instrument(self, instrument_id: int) -> Instrument:
        known = self._instruments.get(instrument_id)
        if known is None:
            known = self._instruments[instrument_id] = Instrument(str(instrument_id), UNKNOWN_CLASS)
        return known


def since(ticks: Ticks, start_ns: int) -> Ticks:
    """Return the ticks whose venue time is `start_ns` or later, or not defined."""
    times = ticks.columns["ts_event"]
    late_enough = (times >= start_ns) | (times == 0)
    return ticks if late_enough.all() else rows(ticks, np.flatnonzero(late_enough))
