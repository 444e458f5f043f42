"""DBN batches -> ticks of a stream: names, classes, and the shift that brings a pass to the present. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from tapeline.feed.dbn import Symbology
from tapeline.feed.dbn_decoder import DbnBatch, DbnMetadata
from tapeline.feed.framer import Instrument, Ticks
from tapeline.feed.instrument_class import instrument_class
from tapeline.model.frames import Array

_TIMES: Final = ("ts_event", "ts_recv", "ts_ref")


def stream_name(metadata: DbnMetadata, file_name: str) -> str:
    """Return ``<dataset>/<symbol>``, or ``<dataset>/<file name>`` where the file holds several symbols."""
    what = metadata.symbols[0] if len(metadata.symbols) == 1 else file_name
    return f"{metadata.dataset}/{what}"


class Normalizer:
    """Turns the batches of one file into ticks of `stream`, all times shifted by `shift_ns`.

    `symbology` and `classes` (id → DBN instrument class) may grow while batches come.
    """

    def __init__(
        self, stream: str, dataset: str, symbology: Symbology, classes: Mapping[int, str], shift_ns: int = 0
    ) -> None:
        self._stream = stream
        self._dataset = dataset
        self._symbology = symbology
        self._classes = classes
        self._shift_ns = shift_ns
        self._directory: dict[int, Instrument] = {}

    def ticks(self, batch: DbnBatch) -> Ticks:
        """Return the batch as ticks; an id without a known symbol is named by its number."""
        ids = batch.instrument_id.astype(np.int64)
        present = ids[:1] if (ids == ids[0]).all() else np.unique(ids)
        received = int(batch.columns["ts_recv"][0])
        found = {instrument_id: self._instrument(instrument_id, received) for instrument_id in present.tolist()}
        if any(self._directory.get(instrument_id) != instrument for instrument_id, instrument in found.items()):
            # A new dict, as frames that still wait hold the old one.
            self._directory = self._directory | found
        return Ticks(
            stream=self._stream,
            dataset=self._dataset,
            publisher_id=batch.publisher_id,
            kind=batch.kind,
            instrument_ids=ids,
            columns={name: self._shifted(name, batch) for name in batch.columns},
            undefined=batch.undefined,
            directory=self._directory,
            origin="saved",
        )

    def _instrument(self, instrument_id: int, at_ns: int) -> Instrument:
        symbol = self._symbology.symbol(instrument_id, at_ns) or str(instrument_id)
        letter = self._classes.get(instrument_id) or instrument_class(self._dataset, symbol)
        return Instrument(symbol, letter)

    def _shifted(self, name: str, batch: DbnBatch) -> Array:
        values = batch.columns[name]
        if not self._shift_ns or name not in _TIMES:
            return values
        shifted: Array = values + self._shift_ns
        if name in batch.undefined:
            shifted[batch.undefined[name]] = 0
        return shifted
