"""Databento's back ends, the one that costs nothing first."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import ClassVar

from tapeline.errors import Misconfigured
from tapeline.feed.back_ends import BackEnd
from tapeline.ops.settings import ServiceSettings
from tapeline_databento.backfill.historical import HistoricalBackEnd
from tapeline_databento.backfill.replay import ReplayBackEnd
from tapeline_databento.session import SOURCE
from tapeline_databento.settings import DatabentoSettings


class DatabentoBackfiller:
    """The replay while a window is recent, which the live plan includes; history, which is metered, afterwards.

    `clock_ns` gives the time in ns since the epoch.
    """

    source: ClassVar[str] = SOURCE
    settings_class: ClassVar[type[ServiceSettings]] = DatabentoSettings

    def __init__(self, settings: ServiceSettings, clock_ns: Callable[[], int] = time.time_ns) -> None:
        if not isinstance(settings, DatabentoSettings):
            raise Misconfigured("the Databento back ends need settings of their own class")
        self._back_ends = (ReplayBackEnd(settings), HistoricalBackEnd(settings, clock_ns))

    def back_ends(self) -> Sequence[BackEnd]:
        """Return both."""
        return self._back_ends
