"""Which of the series that the vendor lists are followed. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from tapeline.feed.barchart.page import ListedSeries

_NAME: Final = re.compile(r"[A-Z0-9]{2,4}[FGHJKMNQUVXZ][0-9]{2}")
_NEXT: Final = re.compile(r"next:([1-9][0-9]{0,2})")


@dataclass(frozen=True, slots=True)
class Follow:
    """What is wanted: the next `count` expiries, the `named` series, or with neither, all."""

    count: int | None = None
    named: tuple[str, ...] = ()


def parse_follow(text: str) -> Follow:
    """Return what a setting wants. Raises ValueError, which says what may be written."""
    words = text.strip()
    if words == "all":
        return Follow()
    if found := _NEXT.fullmatch(words):
        return Follow(count=int(found[1]))
    names = tuple(dict.fromkeys(name.strip() for name in words.split(",")))
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError(f"must be next:N, all, or the vendor's names of series like MC2M25, is {name!r}")
    return Follow(named=names)


def followed(listed: Iterable[ListedSeries], follow: Follow, now_ns: int) -> list[ListedSeries]:
    """Return the series to ask for, the next expiry first; none that has expired by `now_ns`."""
    alive = sorted(
        (each for each in listed if each.series.expiry > now_ns),
        key=lambda each: (each.series.expiry, each.series.vendor_series),
    )
    if follow.named:
        return [each for each in alive if each.series.vendor_series in follow.named]
    return alive[: follow.count]


def unlisted(listed: Iterable[ListedSeries], follow: Follow) -> tuple[str, ...]:
    """Return the named series that the list does not have."""
    known = {each.series.vendor_series for each in listed}
    return tuple(name for name in follow.named if name not in known)
