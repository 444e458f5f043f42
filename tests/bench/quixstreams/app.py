"""Pressure with Quix Streams as its documentation shows it: a streaming dataframe, one JSON message per tick.

Environment as `faust_app.py`; it runs in the virtual environment of the lock beside this file.
"""

from __future__ import annotations

import os
from typing import Any

from plain_pressure import PlainPressure
from quixstreams import Application
from stopwatch import Stopwatch

state = PlainPressure()
watch = Stopwatch()


def pressure(tick: dict[str, Any]) -> list[dict[str, Any]]:
    closed = state.update(tick)
    watch.tell(len(closed))
    return closed


app = Application(
    broker_address=os.environ["KAFKA_BOOTSTRAP_SERVERS"],
    consumer_group=os.environ["BENCH_ID"],
    auto_offset_reset="earliest",
    state_dir=os.environ["BENCH_DATA"],
)
ticks = app.topic(os.environ["BENCH_TICKS"], value_deserializer="json")
rows = app.topic(os.environ["BENCH_ROWS"], value_serializer="json")
app.dataframe(ticks).apply(pressure, expand=True).to_topic(rows)

if __name__ == "__main__":
    app.run()
