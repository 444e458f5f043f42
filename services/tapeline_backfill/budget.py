"""What a request costs, and what it may. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tapeline.feed.cost import Cap
from tapeline.model.backfill import BackEnd, BackfillRequest
from tapeline.model.control import Interval
from tapeline_backfill.settings import BackfillSettings
from tapeline_backfill.windows import span_ns, without


class Quote(NamedTuple):
    """What a back end says that an interval costs, micro-dollars."""

    back_end: BackEnd
    interval: Interval
    micro_usd: int


def price(quotes: Iterable[Quote], back_end: BackEnd, interval: Interval) -> int:
    """Return what an interval has as its share of the quotes of a back end, micro-dollars, rounded up."""
    total = 0
    for name, of, micro_usd in quotes:
        if name == back_end:
            shared_ns = span_ns([of]) - span_ns(without([of], [interval]))
            total += -(-micro_usd * shared_ns // span_ns([of]))
    return total


def is_quoted(quotes: Iterable[Quote], back_end: BackEnd, interval: Interval) -> bool:
    """Return whether the quotes of a back end are for all of an interval."""
    return not without([interval], [quote.interval for quote in quotes if quote.back_end == back_end])


def caps(request: BackfillRequest, settings: BackfillSettings, spent_micro_usd: int) -> list[Cap]:
    """Return the limits of a request; `spent_micro_usd` is what the other requests of the month come to."""
    prefix = settings.prefix()
    own = (
        []
        if request.cost_cap_micro_usd is None
        else [Cap("request's cost cap", request.cost_cap_micro_usd, "ask again with a higher cost cap")]
    )
    return [
        *own,
        Cap("cost cap of a request", _micro(settings.cost_cap_usd), f"raise {prefix}COST_CAP_USD"),
        Cap("cap of the month", _micro(settings.month_cap_usd), f"raise {prefix}MONTH_CAP_USD", spent_micro_usd),
    ]


def _micro(usd: float) -> int:
    return round(usd * 1e6)
