"""Putting the account on md.usage.v1 where there is a broker; what could not be put there goes with the next fetch."""

from __future__ import annotations

from typing import Final

from tapeline.bus.bootstrap import namespaced
from tapeline.bus.probe import is_listening
from tapeline.bus.publisher import Publisher
from tapeline.feed.cost import announcement
from tapeline.feed.ledger import UsageLedger
from tapeline_databento.history.query import SOURCE

_DELIVER_S: Final = 10.0


async def publish_usage(ledger: UsageLedger, bootstrap: str) -> int | None:
    """Publish every row that changed since it last was; return their number, None where no broker answers.

    Raises DeliveryFailed where the broker takes none.
    """
    rows = ledger.unpublished(SOURCE)
    if not rows:
        return 0
    if not await is_listening(bootstrap):
        return None
    publisher = Publisher(bootstrap, "tapeline-databento-fetch")
    try:
        for row in rows:
            usage, _ = row
            message = announcement(usage)
            await publisher.deliver(namespaced(message.topic), message.key, message.value, _DELIVER_S)
            ledger.mark_published([row])
    finally:
        await publisher.close(_DELIVER_S)
    return len(rows)
