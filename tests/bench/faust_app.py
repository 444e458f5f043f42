"""Pressure with Faust as its documentation shows it: a worker, an agent, one JSON message per tick, dicts in and out.

`faust_app.py worker --without-web`, with the environment that `per_message.py` gives it.
"""

from __future__ import annotations

import os
from typing import Any

import faust
from plain_pressure import PlainPressure
from stopwatch import Stopwatch

app = faust.App(
    os.environ["BENCH_ID"],
    broker=f"kafka://{os.environ['KAFKA_BOOTSTRAP_SERVERS']}",
    value_serializer="json",
    datadir=os.environ["BENCH_DATA"],
    topic_allow_declare=False,
    topic_disable_leader=True,
)
ticks = app.topic(os.environ["BENCH_TICKS"])
rows = app.topic(os.environ["BENCH_ROWS"])
watch = Stopwatch()


@app.agent(ticks)
async def pressure(stream: Any) -> None:
    state = PlainPressure()
    async for tick in stream:
        closed = state.update(tick)
        for row in closed:
            await rows.send(value=row)
        watch.tell(len(closed))


if __name__ == "__main__":
    app.main()
