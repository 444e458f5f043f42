"""When an instrument trades: intervals by trading day, as arrays that the kernels read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tapeline.errors import Misconfigured
from tapeline.model.columns import INT64_MAX, INT64_MIN

Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Sessions:
    """Trading intervals [open, close), sorted and apart from each other.

    `opens`, `closes` (int64): ns since the epoch, UTC. `days` (int32): the trading day of each interval as yyyymmdd;
    the intervals of one day follow each other and share `cumulative_volume_delta`. `dataset` is the one that keeps
    these sessions (empty: all do); any other one, such as the synthetic market's, never closes. Raises Misconfigured
    where the intervals are not so.
    """

    opens: Int64s
    closes: Int64s
    days: npt.NDArray[np.int32]
    dataset: str = ""

    def __post_init__(self) -> None:
        if not len(self.opens) == len(self.closes) == len(self.days) > 0:
            raise Misconfigured("sessions: opens, closes and days must have one length, and not be empty")
        if not (self.opens < self.closes).all() or not (self.closes[:-1] <= self.opens[1:]).all():
            raise Misconfigured("sessions: intervals must be sorted and must not overlap")
        if not (np.diff(self.days) >= 0).all():
            raise Misconfigured("sessions: trading days must not go back")

    @staticmethod
    def always() -> Sessions:
        """Return one endless interval."""
        return Sessions(
            opens=np.array([INT64_MIN], dtype=np.int64),
            closes=np.array([INT64_MAX], dtype=np.int64),
            days=np.array([0], dtype=np.int32),
        )

    @staticmethod
    def of_days(opens: Int64s, closes: Int64s, days: npt.NDArray[np.datetime64], dataset: str) -> Sessions:
        """Return the sessions of a dataset as a calendar has them: bounds in ns, and the trading day of each."""
        numbers = np.char.replace(days.astype("datetime64[D]").astype(str), "-", "").astype(np.int32)
        return Sessions(opens, closes, numbers, dataset)

    def of(self, dataset: str) -> Sessions:
        """Return the sessions of a dataset."""
        return self if self.dataset in ("", dataset) else Sessions.always()

    def table(self) -> Int64s:
        """Return (n, 5): open, close, trading day, the first open and the last close of that day."""
        days, first, index, counts = np.unique(self.days, return_index=True, return_inverse=True, return_counts=True)
        last = first + counts - 1
        return np.stack(
            [
                self.opens,
                self.closes,
                days[index].astype(np.int64),
                self.opens[first][index],
                self.closes[last][index],
            ],
            axis=1,
        ).astype(np.int64)
