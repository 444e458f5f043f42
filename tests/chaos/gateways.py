"""What goes wrong at the vendor's gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from tests.chaos.desk import Desk
from tests.chaos.verdict import gaps_of

from tapeline.model.windows import all_closed_ns

ABSENT: Final = ("feed_disconnected", "feed_silent")
AWAY_S: Final = 6.0
_MENDED_NS: Final = 15_000_000_000
"""So long after the last window could close its row is mended."""

Befall = Callable[[Desk], Awaitable[None]]


def lasts(name: str, *, seconds: float = AWAY_S, **parameters: Any) -> Befall:
    """Return a fault that lasts for so long."""

    async def befall(desk: Desk) -> None:
        desk.vendor.gateway.faults.start(name, seconds=seconds, **parameters)
        await passed(desk)

    return befall


def ends(name: str, *, then: str = "refuse", stage: str = "", **parameters: Any) -> Befall:
    """Return a fault that ends the session, and then keeps others from beginning for a while."""

    async def befall(desk: Desk) -> None:
        staged = {"stage": stage} if stage else {}
        desk.vendor.gateway.faults.start(then, seconds=AWAY_S, **staged)
        desk.vendor.gateway.faults.start(name, **parameters)
        await passed(desk)

    return befall


def stops(name: str, *, first: str = "") -> Befall:
    """Return a fault that no retry mends: the producer ends, and is begun again once somebody has mended it."""

    async def befall(desk: Desk) -> None:
        desk.vendor.gateway.faults.start(name, seconds=600.0)
        if first:
            desk.vendor.gateway.faults.start(first)
        assert await desk.producer.ended() == 1
        await desk.until_incident(*ABSENT)
        desk.vendor.gateway.faults.clear()
        await desk.producer.start()
        await desk.until_ticks(1_000)

    return befall


async def stalls(desk: Desk) -> None:
    """Let no orders come over connections that live, which are begun anew again and again, until that is missed."""
    desk.vendor.gateway.faults.start("stall", schema="mbo", seconds=600.0)
    await desk.until_incident(*ABSENT)
    desk.vendor.gateway.faults.clear()
    await passed(desk)


async def outage_and_later(desk: Desk) -> None:
    """Let an outage leave a gap; wait until windows that were open when it was mended are closed, and mended too."""
    await lasts("outage")(desk)
    await desk.until_mended()
    [gap] = gaps_of(await asyncio.to_thread(desk.tape.live))
    assert gap.ts_event_to is not None
    mended_ns = all_closed_ns(gap.ts_event_to) + _MENDED_NS

    async def is_later() -> bool:
        return desk.vendor.clock() >= mended_ns

    await desk.until("all windows are closed", is_later)


async def half_open(desk: Desk) -> None:
    """Let nothing come any more over a connection that stands, and no other be made for a while after that is found."""
    desk.vendor.gateway.faults.start("black-hole", seconds=2 * AWAY_S)
    desk.vendor.gateway.faults.start("refuse", seconds=2 * AWAY_S)
    await passed(desk)


async def lacks_records(desk: Desk) -> None:
    """Let replays be short of some records, and say that they are complete."""
    desk.vendor.gateway.faults.start("lost-replay", count=5)
    desk.vendor.gateway.faults.start("refuse", seconds=AWAY_S)
    desk.vendor.gateway.faults.start("rst")
    await desk.until_incident(*ABSENT)
    await desk.until_ticks(1_000)
    desk.vendor.gateway.faults.clear()
    await passed(desk)


async def doubtful_book(desk: Desk) -> None:
    """Let the book of the future that trades most be in doubt, and nobody be told it anew for a while."""
    desk.vendor.gateway.faults.start("refuse", seconds=3 * AWAY_S)
    desk.vendor.gateway.faults.start("bad-book", symbol=desk.vendor.listed()[0].raw_symbol)
    await desk.until_incident("feed_degraded")
    desk.vendor.gateway.faults.clear()
    await passed(desk)


async def passed(desk: Desk) -> None:
    """Wait until nothing goes wrong any more, and live ticks come."""

    async def is_well() -> bool:
        return not desk.vendor.gateway.faults.active()

    await desk.until("the fault has passed", is_well)
    await desk.until_ticks(1_000)
