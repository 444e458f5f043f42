"""Pressure with Quix Streams as its documentation shows it: a streaming dataframe, one JSON message per tick.

Environment as `faust_app.py`; with BENCH_SESSIONS (JSON) every metric of Tapeline, without it simpler ones. It runs in
the virtual environment of the lock beside this file.
"""

from __future__ import annotations

import json
import os
from typing import Any

from plain_pressure import PlainPressure
from quixstreams import Application
from same_pressure import SamePressure
from stopwatch import Stopwatch

sessions = os.environ.get("BENCH_SESSIONS")
state = SamePressure(json.loads(sessions)) if sessions else PlainPressure()
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
