"""What befalls the processes: they are killed, they hang, and they wake up when another has taken their work over."""

from __future__ import annotations

import asyncio

from tests.chaos.desk import Desk
from tests.chaos.gateways import ABSENT, lasts
from tests.chaos.service import Service

from tapeline.model.backfill import BackfillEvent


async def producer_killed(desk: Desk) -> None:
    """Kill the producer, and begin it anew once that was noticed."""
    await desk.producer.kill()
    await desk.until_incident(*ABSENT)
    await desk.producer.start()
    await desk.until_ticks(1_000)


async def producer_sleeps(desk: Desk) -> None:
    """Let the producer hang until another has taken its stream over, and wake up then: it ends by itself."""
    desk.producer.pause()
    await desk.until_incident(*ABSENT)
    sleeper, heir = desk.producer, desk.add("databento", "databento-heir")
    await heir.start()
    await desk.until_ticks(1_000)
    sleeper.wake()
    assert await sleeper.ended() == 1
    await desk.until_ticks(1_000)
    # It is the producer from now on.
    desk.services["databento"] = desk.services.pop("databento-heir")


async def processor_killed(desk: Desk) -> None:
    """Kill the processor, and begin it anew once that was noticed."""

    async def has_committed() -> bool:
        document = await desk.watchdog.json("/v1/lag")
        groups = document["groups"] if document else []
        topics = [topic for group in groups for topic in group["topics"]]
        return any(each["committed"] for topic in topics for each in topic["partitions"])

    # Of a group that has never said how far it is nobody knows how far behind it is.
    await desk.until("the processor has committed", has_committed)
    await desk.processor.kill()
    await desk.until_incident("consumer_lag", "stuck_worker")
    await desk.processor.start()
    await desk.processor.ready()
    await desk.until_ticks(1_000)


async def processor_of_two_killed(desk: Desk) -> None:
    """Kill that of two processors which works on the stream; the other one takes over."""
    other = desk.add("processor", "processor-other")
    await other.start()
    await other.ready()
    partition = f"[{await asyncio.to_thread(desk.partition)}]"
    held = ""

    async def is_held() -> bool:
        nonlocal held
        for name in ("processor", "processor-other"):
            if await _works_on(desk.services[name], partition):
                held = name
                return True
        return False

    await desk.until("the partitions are shared out", is_held)
    await desk.services.pop(held).kill()
    desk.services.setdefault("processor", other)
    desk.services.pop("processor-other", None)

    async def is_taken_over() -> bool:
        return await _works_on(desk.processor, partition)

    await desk.until("the other one has taken over", is_taken_over)
    await desk.until_ticks(1_000)


async def backfill_killed(desk: Desk) -> None:
    """Kill the backfill service five times while it works."""
    await lasts("outage")(desk)
    for times in range(1, 6):
        await _until_published(desk, 300 * times)
        await desk.backfill.kill()
        await desk.backfill.start()


async def backfill_sleeps(desk: Desk) -> None:
    """Let the backfill service hang until another has finished its request, and wake up then."""
    await lasts("outage")(desk)
    await _until_published(desk, 500)
    desk.backfill.pause()
    twin = desk.add("backfill", "backfill-twin", worker="twin", records_per_s=100_000)
    await twin.start()

    async def is_proven() -> bool:
        events = await asyncio.to_thread(desk.tape.backfill_events)
        return all(any(event.type == "proven" for event in each) for each in events.values())

    await desk.until("the twin has filled the gap", is_proven)
    desk.backfill.wake()

    async def is_fenced() -> bool:
        # Where it slept within a transaction, it may learn no more than that this was not committed.
        return bool(desk.backfill.said("fenced") or desk.backfill.said("Kafka is away"))

    await desk.until("the sleeper is fenced", is_fenced)


async def _works_on(processor: Service, partition: str) -> bool:
    status = await processor.json("/readyz")
    return bool(status) and any(each.endswith(partition) for each in status["assigned"])


async def _until_published(desk: Desk, records: int) -> None:
    """Wait until a backfill has put so many records on the tape, or is through."""

    async def there() -> bool:
        events = await asyncio.to_thread(desk.tape.backfill_events)
        newest: list[BackfillEvent] = [each[-1] for each in events.values()]
        return any(event.published >= records for event in newest)

    await desk.until(f"{records} records are filled in", there)
