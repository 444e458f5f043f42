"""When tick quality is reported: windows, sessions, framing, and a state that was packed."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.orderflow.builders import clock_frame, reframe, replay_dbn, status_frame, tick_frame
from tests.unit.quality.tick_market import (
    LAST,
    MINUTE,
    POINT,
    PRICE,
    T0,
    Orders,
    Quotes,
    S,
    always,
    defined,
    definition,
    findings,
    judge,
    reports,
)

from tapeline.model.columns import F_SNAPSHOT, INT64_MAX
from tapeline.model.frames import TickFrame
from tapeline.model.quality import MOST_NAMED
from tapeline.model.tick_quality import TickReport
from tapeline.orderflow.packing import PartitionCopy, Unpacker, pack
from tapeline.quality.ticks import TickQuality

SYMBOLS = ("ESH4", "ESM4")


def test_a_healthy_hour_is_one_report() -> None:
    orders = Orders()
    frames = [orders((T0 + second * S, "A", PRICE)) for second in range(3_700)]
    told = reports(judge(definition()), frames)
    assert told == [TickReport("saved", "GLBX.MDP3/ES.FUT", "mbo", T0, T0 + 60 * MINUTE, 3_600, 0, 0, ())]


def test_a_window_with_findings_is_reported_apart() -> None:
    orders = Orders()
    frames = [orders((T0 + second * S, "A", PRICE if second != 150 else 0)) for second in range(250)]
    quiet, found = reports(judge(definition()), frames)
    assert (quiet.since, quiet.at, quiet.ticks, quiet.findings) == (T0, T0 + 2 * MINUTE, 120, ())
    assert (found.since, found.at, found.ticks, found.errors) == (T0 + 2 * MINUTE, T0 + 3 * MINUTE, 60, 1)
    assert found.findings[0].first_at == T0 + 150 * S


def test_a_clock_closes_a_window() -> None:
    quality = judge(definition())
    assert quality.apply(Orders()((T0 + S, "A", -PRICE))) == []
    assert quality.apply(clock_frame({"mbo": T0 + MINUTE - 1})) == []
    (report,) = quality.apply(clock_frame({"mbo": T0 + MINUTE}))
    assert (report.ticks, report.errors) == (1, 1)
    assert quality.apply(clock_frame({"mbo": T0 + 3 * MINUTE})) == []


def test_a_snapshot_is_not_looked_at() -> None:
    quality = judge()
    rows = [(T0 - 9 * S, "A", PRICE, 1, k, k, 0, F_SNAPSHOT) for k in (9, 8)]
    quality.apply(Orders()(*rows, (T0, "A", PRICE, 1, 1, 1), (T0 + 1, "A", 0, 1, 2, 2)))
    (report,) = quality.apply(clock_frame({"mbo": T0 + MINUTE}))
    assert (report.ticks, [each.rule for each in report.findings]) == (2, ["03_not_positive"])
    clean = judge()
    clean.apply(Orders()(*rows, (T0, "A", PRICE, 1, 1, 1)))
    (report,) = clean.apply(Orders("s2")((T0, "A", PRICE)))
    assert (report.ticks, report.findings) == (1, ())


def test_what_was_noted_is_told_once() -> None:
    orders = Orders()
    frames = [orders((T0 + S, "A", PRICE)), orders((T0 + 2 * S, "A", PRICE), frame=5)]
    frames += [orders((T0 + (60 * k) * S, "A", 0)) for k in (1, 2, 3)]
    told = reports(judge(), frames)
    assert [[finding.rule for finding in report.findings] for report in told] == [
        ["09_lost_frames"],
        ["03_not_positive"],
        ["03_not_positive"],
    ]
    assert [report.ticks for report in told] == [2, 1, 1]


def test_a_session_that_ends_is_judged_before_it_is_forgotten() -> None:
    quality = judge()
    quality.apply(Quotes()((T0, PRICE + POINT, PRICE)))
    (report,) = quality.apply(Quotes(session="s2")((T0 + 9 * MINUTE, PRICE, PRICE + POINT)))
    assert report.findings[0].numbers == {"longest_ms": 60_000}


def test_a_session_that_lacks_its_begin_has_lost_frames() -> None:
    quality = judge()
    quality.apply(Orders()((T0, "A", PRICE)))
    found = findings(quality, Orders("s2")((T0 + S, "A", PRICE), frame=2))
    assert found["09_lost_frames", "*"].numbers == {"frames": 2}


def test_many_symbols_find_room_and_the_gravest_are_named() -> None:
    symbols = tuple(f"ES{number}" for number in range(MOST_NAMED + 50))
    rows = [(T0 + number, "A", 0, 1, number + 1, number + 1, number) for number in range(len(symbols))]
    rows += [(T0 + len(symbols), "A", 0, 1, 9_999, 9_999, 140)]
    quality = judge()
    quality.apply(Orders(symbols=symbols)(*rows))
    (report,) = quality.apply(clock_frame({"mbo": T0 + MINUTE}))
    assert (report.errors, len(report.findings)) == (MOST_NAMED + 50, MOST_NAMED)
    assert (report.findings[0].symbol, report.findings[0].count) == ("ES140", 2)


def test_the_gravest_comes_first() -> None:
    healthy = (PRICE, PRICE + POINT)
    rows: list[Any] = [(T0 + k, PRICE + 2 * POINT, PRICE + POINT, k + 1, 0) for k in range(5)]
    rows += [(T0 + 5, *healthy, 6, 0), (T0 + 6, PRICE + 2 * POINT, PRICE + POINT, 7, 1), (T0 + 9 * S, *healthy, 8, 1)]
    quality = judge()
    quality.apply(Quotes(symbols=SYMBOLS)(*rows))
    (report,) = quality.apply(clock_frame({"l1": T0 + MINUTE}))
    assert [(each.symbol, each.severity, each.count) for each in report.findings] == [
        ("ESM4", "error", 1),
        ("ESH4", "warning", 5),
    ]
    assert (report.errors, report.warnings) == (1, 1)


def test_silence_lasts_until_the_clock() -> None:
    orders = Orders(symbols=SYMBOLS)
    rows = ((T0 + s * S, "A", PRICE, 1, s + 1, s + 1, int(s % 2 and s < 610)) for s in range(655))
    quality = judge()
    assert reports(quality, [orders(row) for row in rows]) == []
    (_, report) = quality.apply(clock_frame({"mbo": T0 + 700 * S}))
    assert [(each.symbol, each.numbers) for each in report.findings] == [("ESM4", {"longest_s": 91.0})]


def test_a_late_tick_does_not_turn_the_clock_back() -> None:
    orders = Orders(symbols=SYMBOLS)
    frames = [orders((T0 + s * S, "A", PRICE, 1, s + 1, s + 1, s % 2)) for s in range(600)]
    frames += [orders((T0 + s * S, "A", PRICE)) for s in range(600, 659)]
    frames += [orders((T0 + 601 * S, "A", PRICE)), orders((T0 + 660 * S, "A", PRICE))]
    told = [each for report in reports(judge(), frames) for each in report.findings if each.rule == "06_stale"]
    assert [(each.symbol, each.numbers) for each in told] == [("ESM4", {"longest_s": 59.0})]


def test_marks_and_epochs_survive_the_packing() -> None:
    quality = judge()
    quality.apply(Quotes(epoch=5)((T0, PRICE, PRICE + POINT)))
    quality.apply(status_frame([(T0, "N", 0)], epoch=5, symbols=("ESM4",)))
    fields = ("ts_event", "stat_type", "price", "symbol")
    quality.apply(tick_frame("statistics", fields, [(T0, 17, PRICE, 0)], epoch=5, symbols=("ESM4",)))
    again = TickQuality.from_packed(Unpacker(pack(PartitionCopy(*quality.copy()))), always, defined())
    assert again.apply(Quotes(epoch=4, session="zombie")((T0, PRICE, PRICE + POINT))) == []
    header = {"epoch": 5, "symbols": SYMBOLS, "frame": 1}
    again.apply(Quotes(**header)((T0 + S, PRICE + POINT, PRICE, 9, 1)))
    again.apply(Orders(epoch=5, symbols=("ESM4",))((T0 + S, "T", PRICE + POINT)))
    told = again.apply(clock_frame({"l1": T0 + MINUTE, "mbo": T0 + MINUTE}, epoch=5))
    assert [(report.kind, [each.rule for each in report.findings]) for report in told] == [("mbo", ["15_price_bands"])]


def busy() -> list[TickFrame]:
    """Half an hour with a bit of everything."""
    orders, frames = Orders(symbols=SYMBOLS), []
    chances = np.random.default_rng(5)
    for number in range(900):
        ts, odd = T0 + number * 2 * S, int(chances.integers(0, 12))
        price = {0: 0, 1: PRICE + 1, 2: INT64_MAX}.get(odd, PRICE)
        late = 3 * S if odd == 3 else 0
        rows = [(ts - late, "T" if odd > 8 else "A", price, 1, number + 1, number + 1, odd % 2, LAST)]
        if odd == 4:
            rows += rows
        frames.append(orders(*rows, **({"frame": orders.frame + 1} if odd == 5 else {})))
    return frames


def test_the_packed_state_goes_on_as_the_state_itself() -> None:
    frames = busy()
    quality = judge(definition(1))
    expected = reports(quality, frames)
    assert sum(report.errors for report in expected) > 20
    part = judge(definition(1))
    told = []
    for number, frame in enumerate(frames):
        if number % 37 == 0:
            part = TickQuality.from_packed(Unpacker(pack(PartitionCopy(*part.copy()))), always, defined(definition(1)))
        told += part.apply(frame)
    assert told == expected


def test_a_copy_is_of_its_moment() -> None:
    quality = judge(definition(1))
    frames = busy()
    reports(quality, frames[:100])
    copy = quality.copy()
    kept = pack(PartitionCopy(*copy))
    reports(quality, frames[100:])
    assert pack(PartitionCopy(*copy)) == kept


@pytest.mark.parametrize(
    ("name", "ticks"),
    [
        ("esh4-glbx-mdp3-20231225.mbo.dbn.zst", 60_067),
        ("esu4-glbx-mdp3-20240701.mbp-1.dbn.zst", 0),
        ("esm4-puts-glbx-mdp3-20240509.mbp-1.dbn.zst", 0),
    ],
)
def test_real_ticks_are_healthy_however_they_are_framed(name: str, ticks: int, real_data: Path) -> None:
    frames = list(replay_dbn(real_data / "databento" / name, classes="F"))
    end = clock_frame({frames[0].kind: int(frames[-1].ts_event().max()) + 2 * 60 * MINUTE})
    whole = reports(judge(), [*frames, end])
    assert [report.findings for report in whole] == [()] * len(whole)
    assert sum(report.ticks for report in whole) == ticks
    assert reports(judge(), [*reframe(frames, random.Random(3)), end]) == whole
