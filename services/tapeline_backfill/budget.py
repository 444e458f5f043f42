"""What a request may cost. Pure."""

from __future__ import annotations

from tapeline.feed.cost import Cap
from tapeline.model.backfill import BackfillRequest
from tapeline_backfill.settings import BackfillSettings


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
