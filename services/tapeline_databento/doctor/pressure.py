"""Pressure of the most active symbol of a sample, by the processor's own kernels, without Kafka."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
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
    chosen = most_active(frames)
    if chosen is None:
        why = "no orders and no quotes came" if is_open else "the market is closed"
        return Check(NAME, "skipped", why)
    stream, kind, symbol = chosen
    try:
        rows = _rows([frame for frame in frames if (frame.stream, frame.kind) == (stream, kind)], symbol)
    except ModuleNotFoundError as error:
        return Check(NAME, "skipped", f"the package {error.name} is not installed: pip install 'tapeline[processor]'")
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


def most_active(frames: Sequence[TickFrame]) -> tuple[str, str, str] | None:
    """Return stream, kind and symbol of which most orders or quotes came, snapshots left out; None: there are none."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for frame in frames:
        if frame.kind not in _KINDS:
            continue
        live = (frame.columns["flags"] & F_SNAPSHOT) == 0
        per_symbol = np.bincount(frame.columns["symbol"][live], minlength=len(frame.symbols))
        for symbol, count in zip(frame.symbols, per_symbol.tolist(), strict=True):
            if count:
                counts[frame.stream, frame.kind, symbol] += count
    return max(sorted(counts), key=counts.__getitem__) if counts else None


def _rows(frames: Sequence[TickFrame], symbol: str) -> list[dict[str, Any]]:
    """Return the rows of a symbol over the longest windows, up to a second, of which one has closed, in order."""
    # Here, as the package that compiles its kernels need not be where only a producer runs.
    from tapeline.orderflow.partition import PartitionState
    from tapeline.orderflow.sessions import Sessions

    state = PartitionState(Sessions.always())
    messages = [message for frame in frames for message in state.apply(frame)]
    rows = [row for message in messages for row in orjson.loads(message.value)["rows"] if row["symbol"] == symbol]
    fitting = [row for row in rows if row["window_ms"] <= _LONGEST_WINDOW_MS]
    longest = max((row["window_ms"] for row in fitting), default=0)
    return [row for row in fitting if row["window_ms"] == longest]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:+,.4g}" if isinstance(value, float) else f"{value:,}"
