"""Live, else kept, else saved: which of them may be published, in which order, and how old. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tapeline.feed.calendar import Calendar
from tapeline.model.chains import MODES, Mode

_LONGEST_PRODUCT: Final = 3
ANY: Final = "*"
"""The stream of a policy that stands for all that have none of their own."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Which modes may be published, and the oldest that each one's data may be (s of open market); None: any age."""

    oldest_s: Mapping[Mode, float | None]

    def order(self, *, cache_is_valid: bool) -> tuple[Mode, ...]:
        """Return what to try, the best first: a kept chain that is still valid saves a call, so it is before live."""
        order: tuple[Mode, ...] = ("cache", "live", "saved") if cache_is_valid else MODES
        return tuple(mode for mode in order if mode in self.oldest_s)

    def refusal(self, mode: Mode, as_of_ns: int, now_ns: int, calendar: Calendar) -> str:
        """Return why data of `as_of_ns` may not be published in this mode; ``""`` where it may."""
        oldest_s = self.oldest_s[mode]
        if oldest_s is None:
            return ""
        age_s = calendar.open_ns(min(as_of_ns, now_ns), now_ns) / 1e9
        if age_s <= oldest_s:
            return ""
        return f"{mode}: its data is {age_s:,.0f} s of open market old, and the policy allows {oldest_s:,.0f} s"


@dataclass(frozen=True, slots=True)
class Policies:
    """The policy of each stream."""

    by_stream: Mapping[str, Policy]

    def of(self, product: str, vendor_series: str) -> Policy:
        """Return the policy of a series: its own, else its product's, else that of all."""
        for stream in (vendor_series, product, ANY):
            if stream in self.by_stream:
                return self.by_stream[stream]
        return Policy({})

    def allow_live(self, product: str) -> bool:
        """Return whether any series of a product may be published live: else its list is not asked for."""
        of_series = [policy for stream, policy in self.by_stream.items() if len(stream) > _LONGEST_PRODUCT]
        return any("live" in policy.oldest_s for policy in (self.of(product, product), *of_series))


def parse_policies(text: str) -> Policies:
    """Return what a setting says: ``*=live:3600, cache:7200; MQ2M25=live``. Raises ValueError, which names the rule."""
    found: dict[str, Policy] = {}
    for part in filter(None, (each.strip() for each in text.split(";"))):
        stream, equals, modes = (each.strip() for each in part.partition("="))
        if not equals or not stream:
            raise ValueError(f"{part!r} must be like *=live:3600, cache:7200, saved")
        if stream in found:
            raise ValueError(f"{stream!r} must have one policy, has two")
        found[stream] = Policy(_modes(modes))
    if not found:
        raise ValueError("must say for at least one stream (* is all) which modes may be published")
    return Policies(found)


def _modes(text: str) -> dict[Mode, float | None]:
    oldest_s: dict[Mode, float | None] = {}
    for part in (each.strip() for each in text.split(",")):
        name, colon, age = (each.strip() for each in part.partition(":"))
        mode = next((known for known in MODES if known == name), None)
        if mode is None:
            raise ValueError(f"{name!r} must be one of {', '.join(MODES)}")
        if mode in oldest_s:
            raise ValueError(f"{mode} must be named once, is named twice")
        oldest_s[mode] = _seconds(part, age) if colon else None
    return oldest_s


def _seconds(part: str, text: str) -> float:
    if not text.isdigit():
        raise ValueError(f"the age in {part!r} must be a whole number of seconds")
    return float(text)


@dataclass(frozen=True, slots=True)
class Validity:
    """How long a fetched chain saves another call (s): while the market trades, and while it does not."""

    open_s: float
    closed_s: float

    def until_ns(self, fetched_at_ns: int, calendar: Calendar) -> int:
        """Return until when (ns) a chain fetched at `fetched_at_ns` saves a call.

        What was fetched in a closed market holds no longer than until it opens, and then as long as in an open one.
        """
        if calendar.is_open(fetched_at_ns):
            return fetched_at_ns + round(self.open_s * 1e9)
        opens_ns = calendar.next_open(fetched_at_ns) + round(self.open_s * 1e9)
        return min(fetched_at_ns + round(self.closed_s * 1e9), opens_ns)
