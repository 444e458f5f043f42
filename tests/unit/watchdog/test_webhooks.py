"""Webhooks whose address is wrong hinder no other."""

from __future__ import annotations

import asyncio

from pydantic import SecretStr

from tapeline.model.incidents import Incident, incident_id
from tapeline_watchdog.webhooks import Webhook, Webhooks


async def test_one_whose_host_is_no_name_is_given_up_at_once_and_the_next_message_is_still_told() -> None:
    incidents = [
        Incident(
            id=incident_id("gap", str(number), number),
            type="gap",
            state="open",
            severity="warning",
            subject=str(number),
            summary="a gap",
            opened_at=number,
            changed_at=number,
        )
        for number in (1, 2)
    ]
    told: asyncio.Queue[Incident] = asyncio.Queue()
    webhooks = Webhooks([Webhook("json-1", "json", SecretStr("http://hooks..example/"))], told.put_nowait)
    async with asyncio.timeout(30.0), asyncio.TaskGroup() as group:
        telling = group.create_task(webhooks.run())
        for incident in incidents:
            webhooks.tell(incident)
        assert [await told.get() for _ in incidents] == incidents
        telling.cancel()
