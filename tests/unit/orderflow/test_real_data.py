"""The published figures of the real files, by the plain reference and by the compiled kernels alike."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pytest
from tests.unit.orderflow.builders import LAST, clock_frame, dbn_frames, mbo_frame, read_dbn
from tests.unit.orderflow.comparison import WHOLE_NUMBER, differences, rows_of
from tests.unit.orderflow.reference import Reference

from tapeline.model.columns import F_SNAPSHOT
from tapeline.model.frames import TickFrame
from tapeline.model.windows import WINDOWS_MS, all_closed_ns
from tapeline.orderflow.partition import PartitionState
from tapeline.orderflow.sessions import Sessions

Row = dict[str, Any]

SECOND: Final = 1_000_000_000
HOUR: Final = 3_600 * SECOND
TICKS_PER_FRAME: Final = 1_000

ESH4_OPEN: Final = 1_703_545_200 * SECOND  # 2023-12-25T23:00:00Z
ESH4_SESSION: Final = (ESH4_OPEN, ESH4_OPEN + 23 * HOUR)
ESM4_FILE: Final = "esm4-glbx-mdp3-20240508-2s.mbo.dbn.zst"
ESM4_SESSION: Final = (1_715_119_200 * SECOND, 1_715_119_200 * SECOND + 23 * HOUR)  # 2024-05-07T22:00:00Z
ESU4_SESSION: Final = (1_719_871_200 * SECOND, 1_719_871_200 * SECOND + 23 * HOUR)  # 2024-07-01T22:00:00Z

WHOLE_FILE: Final = {
    "order_flow_imbalance": 1_651,
    "buy_volume": 5_322,
    "sell_volume": 4_526,
    "unsigned_volume": 44,
    "added_bid": 45_737,
    "added_ask": 40_745,
    "cancelled_bid": 38_797,
    "cancelled_ask": 33_901,
    "filled_bid": 4_703,
    "filled_ask": 5_484,
    "replaced_bid": 13_344,
    "replaced_ask": 11_834,
    "sweeps_buy": 23,
    "sweeps_sell": 13,
}
FIRST_MINUTE: Final = {
    "order_flow_imbalance": 503,
    "buy_volume": 329,
    "sell_volume": 227,
    "unsigned_volume": 44,
    "added_bid": 4_537,
    "added_ask": 4_025,
    "cancelled_bid": 3_239,
    "cancelled_ask": 3_543,
    "filled_bid": 265,
    "filled_ask": 374,
    "replaced_bid": 1_071,
    "replaced_ask": 944,
    "sweeps_buy": 5,
    "sweeps_sell": 3,
}


class Pass(NamedTuple):
    """One file through both implementations."""

    frames: list[TickFrame]
    reference: Reference
    expected: list[Row]
    compiled: list[Row]

    def rows(self, implementation: str) -> list[Row]:
        return self.expected if implementation == "reference" else self.compiled


def frames_of(path: Path, instrument_class: str = "F", largest: int | None = None) -> list[TickFrame]:
    """The frames of a file, of its first `largest` records if given."""
    records, names = read_dbn(path)
    frames = dbn_frames(records[:largest], names, TICKS_PER_FRAME)
    return [replace(frame, classes=instrument_class * len(frame.symbols)) for frame in frames]


def end_of_pass(frames: list[TickFrame]) -> TickFrame:
    live = [frame.ts_event()[frame.columns["flags"] & F_SNAPSHOT == 0] for frame in frames]
    return clock_frame({frames[0].kind: all_closed_ns(max(int(each.max(initial=0)) for each in live))})


def compiled(session: tuple[int, int]) -> PartitionState:
    opens, closes = session
    return PartitionState(Sessions(np.array([opens]), np.array([closes]), np.array([20231226], dtype=np.int32)))


def run(frames: list[TickFrame], session: tuple[int, int]) -> Pass:
    frames = [*frames, end_of_pass(frames)]
    reference, state = Reference([session]), compiled(session)
    expected = [row for frame in frames for row in reference.apply(frame)]
    given = [row for frame in frames for row in rows_of(state, frame)]
    return Pass(frames, reference, expected, given)


@pytest.fixture(scope="module")
def esh4(real_data: Path) -> Pass:
    return run(frames_of(real_data / "databento/esh4-glbx-mdp3-20231225.mbo.dbn.zst"), ESH4_SESSION)


@pytest.fixture(scope="module")
def esm4(real_data: Path) -> Pass:
    return run(frames_of(real_data / "databento" / ESM4_FILE), ESM4_SESSION)


@pytest.fixture(scope="module")
def esu4_quotes(real_data: Path) -> Pass:
    return run(frames_of(real_data / "databento/esu4-glbx-mdp3-20240701.mbp-1.dbn.zst"), ESU4_SESSION)


@pytest.fixture(scope="module")
def esu4_trades(real_data: Path) -> Pass:
    return run(frames_of(real_data / "databento/esu4-glbx-mdp3-20240701.trades.dbn.zst"), ESU4_SESSION)


both = pytest.mark.parametrize("implementation", ["reference", "compiled"])


@both
@pytest.mark.parametrize("window_ms", WINDOWS_MS)
@pytest.mark.parametrize(
    ("until", "figures"),
    [
        pytest.param(None, WHOLE_FILE, id="whole-file"),
        pytest.param(ESH4_OPEN + 60 * SECOND, FIRST_MINUTE, id="first-60-s"),
    ],
)
def test_esh4_sums_are_the_published_ones(
    esh4: Pass, implementation: str, window_ms: int, until: int | None, figures: dict[str, int]
) -> None:
    rows = [
        row
        for row in esh4.rows(implementation)
        if row["window_ms"] == window_ms and ESH4_OPEN <= row["window_start"] < (until or ESH4_SESSION[1])
    ]
    assert all(row["book_valid"] and row["trade_valid"] for row in rows)
    assert {name: sum(row[name] for row in rows) for name in figures} == figures
    assert rows[-1]["cumulative_volume_delta"] == figures["buy_volume"] - figures["sell_volume"]


@both
@pytest.mark.parametrize(
    ("last", "bid", "bid_size", "ask", "ask_size"),
    [
        pytest.param(-1, 4_810_000_000_000, 22, 4_810_250_000_000, 28, id="whole-file"),
        pytest.param(0, 4_804_750_000_000, 1, 4_805_000_000_000, 5, id="first-60-s"),
    ],
)
def test_esh4_closes_at_the_published_top(
    esh4: Pass, implementation: str, last: int, bid: int, bid_size: int, ask: int, ask_size: int
) -> None:
    minutes = [
        row for row in esh4.rows(implementation) if row["window_ms"] == 60_000 and row["window_start"] >= ESH4_OPEN
    ]
    row = sorted(minutes, key=lambda each: int(each["window_start"]))[last]
    both_sizes = bid_size + ask_size
    assert float(row["queue_imbalance"]) == pytest.approx((bid_size - ask_size) / both_sizes, abs=1e-9)
    assert float(row["weighted_mid"]) == pytest.approx((ask * bid_size + bid * ask_size) / both_sizes, abs=WHOLE_NUMBER)


def test_esh4_has_the_published_events(esh4: Pass) -> None:
    assert esh4.reference.totals["contributing_events"] == 46_097
    assert esh4.reference.totals["crossed_events"] == 0
    assert esh4.reference.totals["crossed_events_not_contributing"] == 891
    filled = WHOLE_FILE["filled_bid"] + WHOLE_FILE["filled_ask"]
    assert filled + esh4.reference.totals["aggressor_fills"] == 10_201


def test_esh4_every_row_agrees(esh4: Pass) -> None:
    assert len(esh4.expected) > 12_000
    assert differences(esh4.expected, esh4.compiled) == []


@both
def test_esm4_snapshot_is_one_event_and_makes_the_book_valid(real_data: Path, implementation: str) -> None:
    """A bare event behind the snapshot shows what the book is by then; the snapshot itself is no event of a window."""
    snapshot = frames_of(real_data / "databento" / ESM4_FILE, largest=13_601)
    adds = [record for frame in snapshot for record in frame.rows() if record["action"] == "A"]
    assert len(adds) == 13_600
    resting: dict[str, Counter[int]] = {"A": Counter(), "B": Counter()}
    for add in adds:
        resting[str(add["side"])][int(str(add["price"]))] += int(str(add["size"]))
    bid, ask = max(resting["B"]), min(resting["A"])
    bid_size, ask_size = resting["B"][bid], resting["A"][ask]
    five_bids = sum(resting["B"][price] for price in sorted(resting["B"])[-5:])
    five_asks = sum(resting["A"][price] for price in sorted(resting["A"])[:5])

    after = int(snapshot[-1].ts_event().max()) // SECOND * SECOND + 5 * SECOND
    nothing = [(after, "N", "N", None, 0, 0, LAST), (after + 1, "N", "N", None, 0, 0, LAST)]
    frames = [*snapshot, mbo_frame(nothing, symbols=("ESM4",), frame=len(snapshot))]
    rows = run(frames, ESM4_SESSION).rows(implementation)

    assert sorted(row["window_ms"] for row in rows) == list(WINDOWS_MS)
    for row in rows:
        assert (row["book_valid"], list(row["reasons"])) == (True, [])
        assert (row["order_flow_imbalance"], row["added_bid"], row["added_ask"]) == (0, 0, 0)
        assert float(row["queue_imbalance"]) == pytest.approx((bid_size - ask_size) / (bid_size + ask_size), abs=1e-9)
        assert float(row["weighted_mid"]) == pytest.approx(
            (ask * bid_size + bid * ask_size) / (bid_size + ask_size), abs=WHOLE_NUMBER
        )
        assert float(row["depth_imbalance_5"]) == pytest.approx(
            (five_bids - five_asks) / (five_bids + five_asks), abs=1e-9
        )


@both
def test_esm4_rows_have_a_valid_book(esm4: Pass, implementation: str) -> None:
    rows = esm4.rows(implementation)
    assert rows
    assert all(row["book_valid"] and row["reasons"] in (set(), []) for row in rows)


def test_esm4_every_row_agrees(esm4: Pass) -> None:
    assert differences(esm4.expected, esm4.compiled) == []


@both
def test_esu4_volumes_of_quotes_are_those_of_the_trades_file(
    esu4_quotes: Pass, esu4_trades: Pass, implementation: str
) -> None:
    volumes = (
        "buy_volume",
        "sell_volume",
        "unsigned_volume",
        "trade_imbalance",
        "sweeps_buy",
        "sweeps_sell",
        "sweep_volume",
    )

    def by_window(rows: list[Row]) -> dict[tuple[int, int], tuple[object, ...]]:
        traded = [row for row in rows if row["buy_volume"] or row["sell_volume"] or row["unsigned_volume"]]
        return {(row["window_ms"], row["window_start"]): tuple(row[name] for name in volumes) for row in traded}

    assert by_window(esu4_quotes.rows(implementation)) == by_window(esu4_trades.rows(implementation))
    sizes = [int(str(record["size"])) for frame in esu4_trades.frames for record in frame.rows()]
    minutes = [row for row in esu4_quotes.rows(implementation) if row["window_ms"] == 60_000]
    assert sum(row["buy_volume"] + row["sell_volume"] + row["unsigned_volume"] for row in minutes) == sum(sizes)
    assert len(sizes) == 120


def test_esu4_every_row_agrees(esu4_quotes: Pass, esu4_trades: Pass) -> None:
    assert differences(esu4_quotes.expected, esu4_quotes.compiled) == []
    assert differences(esu4_trades.expected, esu4_trades.compiled) == []


def test_puts_are_out_of_scope(real_data: Path) -> None:
    frames = frames_of(real_data / "databento/esm4-puts-glbx-mdp3-20240509.mbp-1.dbn.zst", instrument_class="P")
    puts = run(frames, (0, 2**62))
    assert sum(map(len, puts.frames)) == 560
    assert puts.compiled == puts.expected == []
