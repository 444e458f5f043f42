"""When contracts traded last, as a Barchart answer tells it: by a text with its precision, and a raw number. Pure.

The raw number, seconds since the epoch, has three meanings. With a time of day (``07:28 CT``) it is the instant of the
trade. With a date (``06/09/25``) it is midnight of that date in UTC, or in Chicago, or the instant of the last trade.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tapeline.feed.barchart import texts
from tapeline.feed.barchart.rows import Integers, Rows
from tapeline.model.chains import NULL, NULL_CODE, PRECISIONS
from tapeline.model.columns import INT64_MAX
from tapeline.model.frames import Array

SECOND: Final = PRECISIONS.index("s")
DAY: Final = PRECISIONS.index("day")

_MINUTES_BEHIND_UTC: Final = (300, 360)
"""Of Chicago, in summer and in winter."""
_LAST_OF_DAY_NS: Final = (24 + 6) * 3_600 * 10**9
"""A Chicago day ends at most so long after midnight UTC of its date."""


def trade_times(rows: Rows) -> tuple[Integers, Array]:
    """Return when each contract traded last (ns, NULL), and how precise that is (a code of PRECISIONS, NULL_CODE).

    A date is midnight UTC of itself. Raises BadData where text and raw number contradict each other.
    """
    read = rows.read("tradeTime", texts.trade_time)
    at = np.full(len(rows), NULL, dtype=np.int64)
    precision = np.full(len(rows), NULL_CODE, dtype=np.int8)
    seconds = rows.raw("tradeTime", at)
    for index, ((known, told), second) in enumerate(zip(read, seconds.tolist(), strict=True)):
        if known is None:
            fits = second == 0
        elif second != int(second) or not 0 < second <= INT64_MAX // 10**9:
            fits = False
        elif known == "s":
            fits = (int(second) // 60 - told) % 1_440 in _MINUTES_BEHIND_UTC
            at[index], precision[index] = int(second) * 10**9, SECOND
        else:
            fits = 0 <= int(second) * 10**9 - told < _LAST_OF_DAY_NS
            at[index], precision[index] = told, DAY
        if not fits:
            text = rows.rows[index]["tradeTime"]
            raise rows.refusal(index, "tradeTime", f"must be the time of its raw number, is {text!r} and {second:.0f}")
    return at, precision
