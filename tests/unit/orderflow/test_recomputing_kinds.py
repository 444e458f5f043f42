"""Quotes and trades are computed anew after backfills as orders are: as if nothing had been missed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from tests.unit.orderflow.builders import S, clock_frame, replay_dbn
from tests.unit.orderflow.holes import Hole, after_events, differing, joined, newest_rows, tape_with, undisturbed

from tapeline.model.columns import COLUMNS, F_SNAPSHOT
from tapeline.model.frames import TickFrame
from tapeline.orderflow.sessions import Sessions
from tapeline.orderflow.splicing import only


def quotes(folder: Path) -> TickFrame:
    """Return real quotes, a thousandth as fast as they came, without what the venue told again in their midst."""
    told = joined(replay_dbn(folder / "esu4-glbx-mdp3-20240701.mbp-1.dbn.zst"))
    return slowed(only(told, np.flatnonzero((told.columns["flags"] & F_SNAPSHOT) == 0)), 1_000)


def trades(folder: Path) -> TickFrame:
    """Return the trades among real orders."""
    orders = joined(replay_dbn(folder / "esh4-glbx-mdp3-20231225.mbo.dbn.zst"))
    found = only(orders, np.flatnonzero(orders.columns["action"] == ord("T")))
    return replace(
        found, kind="trade", columns={name: found.columns[name] for name in (each.name for each in COLUMNS["trade"])}
    )


def slowed(ticks: TickFrame, factor: int) -> TickFrame:
    columns = dict(ticks.columns)
    begin = int(ticks.columns["ts_event"].min())
    for name in ("ts_event", "ts_recv"):
        columns[name] = (ticks.columns[name] - begin) * factor + begin
    return replace(ticks, columns=columns)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("of", [quotes, trades])
def test_random_holes_filled_in_any_order(real_data: Path, of: object, seed: int) -> None:
    ticks = of(real_data / "databento")  # type: ignore[operator]
    times, random = ticks.ts_event(), Random(seed)
    opens, closes = int(times.min()) - S, int(times.max()) + S
    sessions = Sessions(np.array([opens]), np.array([closes]), np.array([20231226], dtype=np.int32))
    end = clock_frame({ticks.kind: closes + 3_700 * S})
    expected = undisturbed(ticks, sessions, end)
    cuts = sorted(after_events(ticks, at) for at in random.sample(range(len(ticks) // 6, len(ticks) - 20), 4))
    holes = [
        Hole(begin, until, gap_id=f"g{begin}")
        for begin, until in zip(cuts[::2], cuts[1::2], strict=True)
        if begin < until
    ]
    tape = tape_with(ticks, holes, sessions, frame_ticks=len(ticks) // 40, has_books=False, end=end)
    tape.process()
    assert differing(newest_rows(tape.rows), expected)
    for hole in random.sample(holes, len(holes)):
        request = tape.complete(hole, ticks, ticks.kind, frame_ticks=random.choice((7, 500)))
        assert tape.recompute(request)
        assert tape.recompute(request) == []
    assert differing(newest_rows(tape.rows), expected) == []
