"""Trading intervals, and how a state looks them up."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.orderflow.builders import T0, S, trade_frame
from tests.unit.orderflow.reading import closed, session

from tapeline.errors import Misconfigured
from tapeline.orderflow.partition import PartitionState
from tapeline.orderflow.sessions import Sessions


@pytest.mark.parametrize(
    ("opens", "closes", "days"),
    [
        ([], [], []),
        ([1], [2, 3], [1]),
        ([1], [1], [1]),
        ([1, 2], [3, 4], [1, 2]),
        ([5, 1], [6, 2], [1, 2]),
        ([1, 3], [2, 4], [2, 1]),
    ],
)
def test_intervals_must_be_in_order(opens: list[int], closes: list[int], days: list[int]) -> None:
    with pytest.raises(Misconfigured):
        Sessions(np.array(opens, dtype=np.int64), np.array(closes, dtype=np.int64), np.array(days, dtype=np.int32))


def test_the_table_tells_first_open_and_last_close_of_a_day() -> None:
    table = session((0, 5), (7, 9), (20, 30), (30, 40), days=(1, 1, 2, 3)).table()
    assert table.tolist() == [[0, 5, 1, 0, 9], [7, 9, 1, 0, 9], [20, 30, 2, 20, 30], [30, 40, 3, 30, 40]]


def test_many_intervals_are_searched() -> None:
    intervals = [(T0 + i * 10 * S, T0 + i * 10 * S + 5 * S) for i in range(1_000)]
    times = [T0 + i * S for i in range(-20, 10_020)]
    rows = closed(PartitionState(session(*intervals)), [trade_frame([(ts, "B", 100, 1) for ts in times])], 1_000)
    trading = {ts for opens, closes in intervals for ts in range(opens, closes, S)}
    assert [int(row["window_start"]) for row in rows if not row["reasons"]] == sorted(trading)
    assert [int(row["window_start"]) for row in rows] == times
