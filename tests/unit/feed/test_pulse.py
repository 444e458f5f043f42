"""What a heartbeat says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tests.unit.feed.test_framer import BASE_NS, ticks_of

from tapeline.feed.pulse import Pulse
from tapeline.model.columns import F_SNAPSHOT


def test_counts_and_begins_anew() -> None:
    pulse = Pulse()
    ticks = ticks_of([0, 10, 20], [0] * 3)
    ticks.columns["ts_in_delta"][:] = [1, 2, 3]
    pulse.arrived(ticks, BASE_NS + 120)
    pulse.published(BASE_NS + 20)
    pulse.published(BASE_NS + 10)
    pulse.published(None)
    assert pulse.take() == {
        "ticks": 3,
        "ts_event": BASE_NS + 20,
        "ts_recv": BASE_NS + 25,
        "latency_p50_ns": 110,
        "latency_p99_ns": 119,
        "ts_in_delta_p50_ns": 2,
        "ts_in_delta_p99_ns": 2,
    }
    quiet = pulse.take()
    assert quiet["ticks"] == 0
    assert quiet["latency_p50_ns"] is None
    assert quiet["ts_in_delta_p99_ns"] is None
    assert (quiet["ts_event"], quiet["ts_recv"]) == (BASE_NS + 20, BASE_NS + 25)


def test_says_nothing_before_the_first_tick() -> None:
    beat = Pulse().take()
    assert beat["ticks"] == 0
    assert {value for name, value in beat.items() if name != "ticks"} == {None}


def test_snapshots_and_undefined_times_say_nothing_of_latency() -> None:
    pulse = Pulse()
    ticks = ticks_of([-(10**15), 0, 5], [F_SNAPSHOT, 0, 0])
    ticks.columns["ts_event"][1] = 0
    pulse.arrived(replace(ticks, undefined={"ts_event": np.array([1])}), BASE_NS + 105)
    assert pulse.take()["latency_p99_ns"] == 100


def test_kinds_without_flags_and_deltas_have_a_latency() -> None:
    pulse = Pulse()
    pulse.arrived(ticks_of([0], [], kind="status"), BASE_NS + 7)
    beat = pulse.take()
    assert beat["latency_p50_ns"] == 7
    assert beat["ts_in_delta_p50_ns"] is None


def test_what_it_keeps_is_bounded() -> None:
    pulse = Pulse()
    for _ in range(20):
        pulse.arrived(ticks_of([0] * 3_000, [0] * 3_000), BASE_NS)
    kept = sum(len(part) for part in pulse._latencies_ns)
    assert 4_096 <= kept < 2 * 4_096
    assert pulse.take()["ticks"] == 60_000
