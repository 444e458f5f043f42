"""Pressure of a sample: which symbol, which rows."""

from __future__ import annotations

import sys

import pytest
from tests.unit.databento.records import STREAM, ticks

from tapeline.feed.calendar import cme_globex_equity
from tapeline.feed.framer import FrameLimits, Framer, SessionIdentity
from tapeline.model.frames import TickFrame
from tapeline_databento.doctor.pressure import last_rows, most_active, pressure_check

MS = 1_000_000
LAST, SNAPSHOT = 128, 32


def quotes(ids: list[int], stream: str = STREAM, step_ms: int = 100) -> list[TickFrame]:
    """Quotes of a book of one level each, one every `step_ms`."""
    count = len(ids)
    times = [1_790_000_000_000 * MS + row * step_ms * MS for row in range(count)]
    made = ticks(
        "l1",
        ids,
        stream,
        ts_event=times,
        ts_recv=times,
        flags=[LAST] * count,
        action=[ord("A")] * count,
        bid_price=[25_000 * 10**9] * count,
        ask_price=[25_001 * 10**9] * count,
        bid_size=[3 + row % 2 for row in range(count)],
        ask_size=[1] * count,
    )
    return frames(made)


def frames(made: object) -> list[TickFrame]:
    framer = Framer(SessionIdentity("databento", "s", 1, "live"), FrameLimits(), cme_globex_equity())
    return [*framer.add(made, 0), *framer.finish(0)]  # type: ignore[arg-type]


def test_the_symbol_with_most_live_ticks_is_chosen() -> None:
    assert most_active([], "F?") is None
    few, many = quotes([7, 7, 8]), quotes([9] * 4, "GLBX.MDP3/ES.FUT")
    assert most_active(few, "F?") == (STREAM, "l1", "NQ7")
    assert most_active([*few, *many], "F?") == ("GLBX.MDP3/ES.FUT", "l1", "NQ9")
    assert most_active([*few, *many], "CP") is None


def test_snapshots_and_other_kinds_do_not_count() -> None:
    snapshot = frames(ticks("mbo", [7] * 9, flags=[SNAPSHOT] * 9))
    assert most_active(snapshot, "F?") is None
    assert most_active([*snapshot, *quotes([8])], "F?") == (STREAM, "l1", "NQ8")
    assert most_active(frames(ticks("trade", [7] * 9)), "F?") is None


def test_the_rows_are_those_of_the_longest_closed_window_up_to_a_second() -> None:
    rows = [
        b'{"rows": [{"symbol": "A", "window_ms": 100, "n": 1}, {"symbol": "B", "window_ms": 1000, "n": 2}]}',
        b'{"rows": [{"symbol": "A", "window_ms": 10000, "n": 3}, {"symbol": "A", "window_ms": 100, "n": 4}]}',
    ]
    assert [row["n"] for row in last_rows(rows, "A")] == [1, 4]
    assert [row["n"] for row in last_rows(rows, "B")] == [2]
    assert last_rows(rows, "C") == []


def test_pressure_is_told_by_the_processors_own_kernels() -> None:
    check = pressure_check(quotes([7] * 50), is_open=True)
    assert (check.name, check.status) == ("pressure", "ok")
    # 4.9 s of quotes close four whole seconds
    assert "NQ7 (l1 of GLBX.MDP3/NQ.FUT), last of 4 windows of 1,000 ms" in check.detail
    # the best bid's size goes to and fro by one, ten times a second
    assert "order_flow_imbalance 0, queue_imbalance +0.6, buy_volume 0, sell_volume 0" in check.detail
    assert "book valid in 4 of 4" in check.detail


def test_too_little_is_a_warning_of_an_open_market_only() -> None:
    assert pressure_check(quotes([7]), is_open=True).status == "warning"
    assert pressure_check(quotes([7]), is_open=False).status == "skipped"
    assert pressure_check([], is_open=True).status == "skipped"


def test_a_book_that_is_not_valid_is_a_warning_with_the_reasons() -> None:
    orders = frames(
        ticks(
            "mbo",
            [7] * 30,
            ts_event=[1_790_000_000_000 * MS + row * 100 * MS for row in range(30)],
            flags=[LAST] * 30,
            action=[ord("C")] * 30,
            side=[ord("B")] * 30,
            order_id=range(1, 31),
            size=[1] * 30,
        )
    )
    check = pressure_check(orders, is_open=True)
    assert check.status == "warning"
    assert "book valid in 0 of" in check.detail
    assert "(" in check.detail.partition("book valid")[2]


def test_without_the_compiler_it_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("tapeline.orderflow")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "numba", None)
    check = pressure_check(quotes([7] * 50), is_open=True)
    assert check.status == "skipped"
    assert "numba" in check.detail
    assert "pip install 'tapeline[processor]'" in check.detail
