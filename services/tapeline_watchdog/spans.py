"""Stretches of time as sorted spans that do not touch, and a calendar's days of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tapeline.feed.calendar import Calendar

Span = tuple[int, int]
"""[begin, end), ns since the epoch."""


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return the spans in order, those that overlap or touch made one; empty ones are left out."""
    out: list[Span] = []
    for begin, end in sorted(span for span in spans if span[0] < span[1]):
        if out and begin <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((begin, end))
    return out


def without(spans: Sequence[Span], taken: Iterable[Span]) -> list[Span]:
    """Return what is left of sorted spans that do not touch after `taken` was taken out of them."""
    left = list(spans)
    for begin, end in merged(taken):
        parts = [((first, min(last, begin)), (max(first, end), last)) for first, last in left]
        left = [span for pair in parts for span in pair if span[0] < span[1]]
    return left


def by_day(calendar: Calendar, begin: int, end: int) -> Iterator[tuple[str, Span]]:
    """Yield the parts of [begin, end) with their trading days. Raises BadData outside the calendar."""
    while begin < end:
        day_end = min(end, calendar.day_end(begin))
        yield calendar.trading_day(begin), (begin, day_end)
        begin = day_end
