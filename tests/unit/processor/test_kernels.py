"""What is loaded at the start is all that is ever compiled."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

PROGRAM = """
import json
from dataclasses import replace
from numba.core.dispatcher import Dispatcher
from tapeline.model.codec import decode, encode
from tapeline.model.frames import Gap
from tapeline.orderflow import flow, rows, state
from tapeline.orderflow.partition import PartitionState, pack, unpack
from tapeline_processor.app import sessions
from tapeline_processor.kernels import load
from tests.unit.orderflow.builders import LAST, MBO_ROW, S, STATUS_ROW, T0, TRADE_ROW, tick_frame

load(sessions())
called = {
    value
    for module in (flow, rows, state)
    for value in vars(module).values()
    if isinstance(value, Dispatcher) and not value.targetoptions.get("forceinline")
}
def compiled():
    return {kernel.py_func.__name__: [str(signature) for signature in kernel.signatures] for kernel in called}
after_load = compiled()

def mbo(second, **how):
    times = range(T0 + second * S, T0 + second * S + 3)
    ticks = [(ts, "A", "B", 4800 * 10**9, 3, 7 * second + ts - T0, LAST) for ts in times]
    return tick_frame("mbo", MBO_ROW, ticks, **how)
def trade(second, **how):
    return tick_frame("trade", TRADE_ROW, [(T0 + second * S, "B", None, 2)], **how)
gap = Gap("g", "open", ("mbo", "trade"), ("ESH4",), "test", ts_event_from=T0 + S)
no_ticks = {"frame": None, "columns": {}, "symbols": (), "instrument_ids": (), "classes": ""}
halt = tick_frame("status", STATUS_ROW, [(T0 + S, "N")])
frames = [
    mbo(0), mbo(1, frame=1), trade(0), trade(1, frame=1), halt, replace(halt, kind="gap", gap=gap, **no_ticks),
    mbo(2, frame=5), mbo(70, frame=6), mbo(71, session="s2", symbols=("ESH4", "NQH4")),
]
count = 0
partition = PartitionState(sessions())
for frame in frames:
    count += sum(message.rows for message in partition.apply(decode(encode(frame))))
    partition = unpack(pack(partition.copy()), sessions())
print(json.dumps({"after_load": after_load, "after_work": compiled(), "rows": count}))
"""


def test_nothing_is_left_to_compile_once_the_kernels_are_loaded() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=300, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert {"take_mbo", "lose", "move_levels", "write_rows"} <= said["after_load"].keys()
    assert {name: len(signatures) for name, signatures in said["after_load"].items() if len(signatures) != 1} == {}
    assert said["after_work"] == said["after_load"]
    assert said["rows"] > 0
