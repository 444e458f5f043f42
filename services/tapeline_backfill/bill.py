"""What the month's budgets leave for a request, by the bill on the tape. Blocking calls."""

from __future__ import annotations

from tapeline.feed.budget import Budgets, budget_caps
from tapeline.feed.cost import Cap
from tapeline.feed.usage_log import usage_rows
from tapeline.model.backfill import BackfillEvent
from tapeline.model.usage import day_of
from tapeline_backfill.cursor import Cursor


def bill_caps(bootstrap: str, budgets: Budgets, event: BackfillEvent, now_ns: int) -> list[Cap]:
    """Return the budgets that a request is held to, of which others, fees and live use have spent their part.

    What the request itself has cost in this month is left out, as it is counted with its estimate. Without budgets
    nothing is read. Raises BrokerUnavailable, or TopicMismatch where there is no topic of usage.
    """
    if not list(budgets.scopes()):
        return []
    is_of_month = day_of(event.at)[:7] == day_of(now_ns)[:7]
    own = Cursor.of(event).sure_micro_usd if is_of_month else 0
    return budget_caps(usage_rows(bootstrap).read(), budgets, event.request.source, now_ns, own_micro_usd=own)
