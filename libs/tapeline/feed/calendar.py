"""Trading sessions: which trading day a moment belongs to, and when a market trades.

The table beside this file holds the sessions of "CME Globex Equity" as pandas_market_calendars knows them; a test
compares the two, and ``python -m tapeline.feed.calendar`` (with the development packages) writes it anew. A worker
reads the table because that package would cost it 81 MB.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from tapeline.errors import BadData

TABLE: Final = Path(__file__).with_name("cme_globex_equity.csv")
_FIRST_DAY, _LAST_DAY = "2010-01-01", "2035-12-31"
_DAY_NS: Final = 86_400_000_000_000
_LONGEST_BREAK_NS: Final = 5 * _DAY_NS


@dataclass(frozen=True, slots=True)
class Calendar:
    """Sessions [open, close), ns since the epoch (int64, increasing), and the trading day of each (datetime64[D])."""

    name: str
    opens: npt.NDArray[np.int64]
    closes: npt.NDArray[np.int64]
    days: npt.NDArray[np.datetime64]

    def trading_day(self, at_ns: int) -> str:
        """Return the trading day (YYYY-MM-DD) of the session that holds `at_ns`, else of the next one.

        Raises BadData outside the table.
        """
        return str(self.days[self._session(at_ns)])

    def day_end(self, at_ns: int) -> int:
        """Return the first moment (ns) after `at_ns` that belongs to a later trading day."""
        return int(self.closes[self._session(at_ns)])

    def is_open(self, at_ns: int) -> bool:
        """Return whether the market trades at `at_ns`."""
        return bool(self.opens[self._session(at_ns)] <= at_ns)

    def next_open(self, at_ns: int) -> int:
        """Return the first moment (ns) from `at_ns` on at which the market trades, `at_ns` itself where it does."""
        return max(at_ns, int(self.opens[self._session(at_ns)]))

    def last_close(self, at_ns: int) -> int:
        """Return when (ns) the last session that is over at `at_ns` closed. Raises BadData where the table has none."""
        index = self._session(at_ns)
        if not index:
            raise BadData("ts_recv", f"{at_ns} is before the first close of the calendar {self.name}")
        return int(self.closes[index - 1])

    def open_ns(self, begin_ns: int, end_ns: int) -> int:
        """Return for how long (ns) the market trades within [begin_ns, end_ns)."""
        first, last = self._session(begin_ns), self._session(max(begin_ns, end_ns))
        opens = np.clip(self.opens[first : last + 1], begin_ns, end_ns)
        closes = np.clip(self.closes[first : last + 1], begin_ns, end_ns)
        return int((closes - opens).sum())

    def _session(self, at_ns: int) -> int:
        index = int(np.searchsorted(self.closes, at_ns, side="right"))
        if index == len(self.closes) or at_ns < self.opens[0] - _LONGEST_BREAK_NS:
            raise BadData("ts_recv", f"{at_ns} is outside the calendar {self.name}, {self.days[0]} to {self.days[-1]}")
        return index


@cache
def cme_globex_equity() -> Calendar:
    """Return the sessions of equity-index futures and their options on CME Globex."""
    days, opens, closes = np.loadtxt(TABLE, delimiter=",", dtype="U16", unpack=True)
    return Calendar(
        "CME Globex Equity",
        opens=opens.astype("datetime64[ns]").astype(np.int64),
        closes=closes.astype("datetime64[ns]").astype(np.int64),
        days=days.astype("datetime64[D]"),
    )


@cache
def always_open() -> Calendar:
    """Return a market that never closes; its trading days are those of UTC."""
    days = np.arange(np.datetime64("1970-01-01"), np.datetime64("2200-01-01"))
    opens = days.astype("datetime64[ns]").astype(np.int64)
    return Calendar("always open", opens=opens, closes=opens + _DAY_NS, days=days)


def calendar_of(dataset: str) -> Calendar:
    """Return the calendar of a dataset; one that is not an exchange's, such as the synthetic market's, never closes."""
    return cme_globex_equity() if dataset == "GLBX.MDP3" else always_open()


def _write_table() -> None:
    import pandas_market_calendars

    schedule = pandas_market_calendars.get_calendar("CME Globex Equity").schedule(_FIRST_DAY, _LAST_DAY)
    with TABLE.open("w", encoding="ascii") as file:
        for day, opens, closes in zip(schedule.index, schedule.market_open, schedule.market_close, strict=True):
            file.write(f"{day:%Y-%m-%d},{opens:%Y-%m-%dT%H:%M},{closes:%Y-%m-%dT%H:%M}\n")
    sys.stderr.write(f"{TABLE}: {len(schedule)} sessions\n")


if __name__ == "__main__":
    _write_table()
