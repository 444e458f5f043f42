"""What the watchdog answers over HTTP about feeds. Pure."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tapeline.bus.tail import ticks_topic
from tapeline_watchdog.feeds import FeedKey, FeedReport, FeedRow, Origin
from tapeline_watchdog.lag import GroupLag, seconds_of
from tapeline_watchdog.latency import Latency

Document = dict[str, Any]


def feeds_document(report: FeedReport, processor: GroupLag | None, *, is_fresh: bool) -> Document:
    """Return every feed, and where chains come from; `is_fresh` is false where nothing newer could be read.

    `processor` is the lag of the group that reads the ticks, None where that is not known. Moments are in ns since the
    epoch, as decimal text; what is not known is null.
    """
    lags_s = {} if processor is None else {topic: seconds_of(each) for topic, each in processor.topics.items()}
    return {
        "at": str(report.at_ns),
        "fresh": is_fresh,
        "feeds": [
            {**_feed(row, report.at_ns), "processing_lag_s": lags_s.get(_topic_of(row.key))} for row in report.rows
        ],
        "origins": [_origin(origin) for origin in report.origins],
    }


def _topic_of(key: FeedKey) -> str:
    """Return what the ticks of a feed are written to, with all others of its source."""
    return "" if key.kind == "chain" else ticks_topic(key.source)


def _feed(row: FeedRow, at_ns: int) -> Document:
    rate = row.rate
    return {
        "source": row.key.source,
        "stream": row.key.stream,
        "kind": row.key.kind,
        "state": row.state.value,
        "reason": row.reason,
        "since": str(row.since_ns),
        "flags": [asdict(flag) for flag in row.flags],
        "expected": row.is_expected,
        "beating": row.is_beating,
        "session": row.session or None,
        "epoch": row.epoch,
        "heartbeat_age_s": None if row.heard_ns is None else (at_ns - row.heard_ns) / 1e9,
        "last_tick": None if row.tick_ns is None else str(row.tick_ns),
        "silence_s": row.silence_ns / 1e9,
        "silence_limit_s": _seconds(row.silence_limit_ns),
        "ticks_per_s": row.ticks_per_s,
        "usual_ticks_per_s": None if rate is None else rate.usual_per_s,
        "latency": None if row.latency is None else _latency(row.latency),
        "reconnects": row.reconnects,
        "reconnects_per_hour": row.reconnects_per_hour,
        "queue_fill": row.queue_fill,
    }


def _latency(latency: Latency) -> Document:
    return {
        "p50_s": latency.p50_ns / 1e9,
        "p99_s": latency.p99_ns / 1e9,
        "usual_p50_s": _seconds(latency.usual_p50_ns),
        "ts_in_delta_p50_s": _seconds(latency.ts_in_delta_p50_ns),
        "ts_in_delta_p99_s": _seconds(latency.ts_in_delta_p99_ns),
        "exchange_s": _seconds(latency.exchange_ns),
        "capture_s": _seconds(latency.capture_ns),
        "delivery_s": _seconds(latency.delivery_ns),
        "waits_at": latency.waits_at,
    }


def _origin(origin: Origin) -> Document:
    return {
        "source": origin.source,
        "stream": origin.stream,
        "was": origin.was,
        "now": origin.now,
        "reason": origin.reason,
        "at": str(origin.at_ns),
    }


def _seconds(value_ns: int | None) -> float | None:
    return None if value_ns is None else value_ns / 1e9
