"""Pressure of the most active symbol of a sample, by the processor's own kernels, without Kafka."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import orjson

from tapeline.feed.doctor import Check
from tapeline.model.columns import F_SNAPSHOT
from tapeline.model.frames import TickFrame

NAME: Final = "pressure"

_KINDS: Final = ("mbo", "l1")
_LONGEST_WINDOW_MS: Final = 1_000


def pressure_check(frames: Sequence[TickFrame], *, is_open: bool) -> Check:
    """Return the newest bid/ask pressure of the symbol with most ticks.

    It may compile kernels, which takes a while: call it from a thread.
    """
    try:
        # Here, as what the kernels are compiled with need not be where only a producer runs.
        from tapeline.orderflow.flow import CLASSES_IN_SCOPE
        from tapeline.orderflow.partition import PartitionState
        from tapeline.orderflow.sessions import Sessions
    except ModuleNotFoundError as error:
        return Check(NAME, "skipped", f"the package {error.name} is missing: pip install 'tapeline[processor]'")
    chosen = most_active(frames, CLASSES_IN_SCOPE)
    if chosen is None:
        return Check(NAME, "skipped", "no orders and no quotes of futures came")
    stream, kind, symbol = chosen
    state = PartitionState(Sessions.always())
    of_pair = [frame for frame in frames if (frame.stream, frame.kind) == (stream, kind)]
    rows = last_rows([message.value for frame in of_pair for message in state.apply(frame)], symbol)
    what = f"{symbol} ({kind} of {stream})"
    if not rows:
        if not is_open:
            return Check(NAME, "skipped", f"{what}: no window has closed, and the market is closed")
        return Check(NAME, "warning", f"{what}: no window has closed", "listen for longer (--seconds 30)")
    row = rows[-1]
    valid = sum(each["book_valid"] for each in rows)
    values = ("order_flow_imbalance", "queue_imbalance", "buy_volume", "sell_volume")
    said = (
        f"{what}, last of {len(rows)} windows of {row['window_ms']:,} ms:"
        f" {', '.join(f'{name} {_number(row[name])}' for name in values)}; book valid in {valid} of {len(rows)}"
    )
    if is_open and not row["book_valid"]:
        return Check(NAME, "warning", f"{said} ({', '.join(row['reasons'])})", "listen for longer (--seconds 30)")
    return Check(NAME, "ok", said)


def most_active(frames: Sequence[TickFrame], classes: str) -> tuple[str, str, str] | None:
    """Return stream, kind and symbol of which most orders or quotes came, snapshots left out; None: there are none.

    Only instruments of these `classes` count.
    """
    counts: Counter[tuple[str, str, str]] = Counter()
    for frame in frames:
        if frame.kind not in _KINDS:
            continue
        live = (frame.columns["flags"] & F_SNAPSHOT) == 0
        per_symbol = np.bincount(frame.columns["symbol"][live], minlength=len(frame.symbols))
        for symbol, letter, count in zip(frame.symbols, frame.classes, per_symbol.tolist(), strict=True):
            if count and letter in classes:
                counts[frame.stream, frame.kind, symbol] += count
    return max(sorted(counts), key=counts.__getitem__) if counts else None


def last_rows(messages: Iterable[bytes], symbol: str) -> list[dict[str, Any]]:
    """Return the rows of a symbol over the longest windows, up to a second, of which one has closed, in order."""
    rows = [row for message in messages for row in orjson.loads(message)["rows"] if row["symbol"] == symbol]
    fitting = [row for row in rows if row["window_ms"] <= _LONGEST_WINDOW_MS]
    longest = max((row["window_ms"] for row in fitting), default=0)
    return [row for row in fitting if row["window_ms"] == longest]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:+,.4g}" if isinstance(value, float) else f"{value:,}"
