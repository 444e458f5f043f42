"""Downloading one file whole: counted against the vendor's own count, and every byte that came put to account."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from tapeline.feed.cache_entry import CacheRequest
from tapeline.feed.cost import CostMeter, Estimate
from tapeline.feed.dbn_count import DbnCount, count_records
from tapeline.feed.prices import record_bytes
from tapeline.ops.logs import get_logger
from tapeline_databento.errors import CutAnswer
from tapeline_databento.history.client import HistoryClient
from tapeline_databento.history.query import say_time

MODE: Final = "historical-streaming"
"""The mode of the price list that a streamed answer comes under."""

log = get_logger("databento.history")


class Downloader:
    """Downloads files. `estimate` asks the vendor anew what a request comes to; `now_ns` says to which day bytes go."""

    def __init__(
        self,
        client: HistoryClient,
        meter: CostMeter,
        estimate: Callable[[CacheRequest], Estimate],
        now_ns: Callable[[], int],
    ) -> None:
        self._client = client
        self._meter = meter
        self._estimate = estimate
        self._now_ns = now_ns

    def download(self, request: CacheRequest, estimate: Estimate, path: Path) -> int:
        """Write what was asked for to `path`, a new file, and return its number of records.

        Raises CutAnswer, and what HistoryClient.download raises, with nothing left at `path`.
        """
        try:
            try:
                warnings = self._client.download(request, path)
            finally:
                # Of an answer that broke off, what had come until then is billed as well.
                counted = count_records(path) if path.exists() else DbnCount(0)
                came_bytes = counted.records * record_bytes(request.schema)
                if path.exists():
                    cost = estimate.cost_of(came_bytes)
                    self._meter.fetched(request.schema, came_bytes, cost, self._now_ns(), MODE)
            if counted.fault:
                raise CutAnswer(f"{_name(request)}: the answer was cut: {counted.fault}")
            # The vendor may have counted before it had all; in the end both must say the same.
            if counted.records != estimate.records:
                expected = self._estimate(request).records
                if counted.records != expected:
                    raise CutAnswer(
                        f"{_name(request)}: {counted.records:,} records came of {expected:,} that the vendor counts"
                    )
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        for warning in warnings:
            log.warning("the vendor warns", of=_name(request), warning=warning)
        return counted.records


def _name(request: CacheRequest) -> str:
    return f"{request.schema} of {','.join(request.symbols[:3])} from {say_time(request.start_ns)}"
