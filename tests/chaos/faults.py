"""Every fault of the matrix: what is done, and which incident it rightly leads to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.chaos import brokers, clocks, gateways, requests, tapes, workers
from tests.chaos.desk import Desk
from tests.chaos.gateways import ABSENT

Settings = Mapping[str, Mapping[str, object]]

BEYOND: Final[Settings] = {"databento": {"resume_max_s": 0.5}}
"""An outage is too long to be resumed, so that it leaves a gap."""
SLOWLY: Final[Settings] = BEYOND | {"backfill": {"chunk_records": 200, "records_per_s": 600, "takeover_s": 1}}
"""A backfill takes long enough for something to befall it."""
IMPATIENT: Final[Settings] = {"databento": {"heartbeat_interval_s": 5, "silence_margin_s": 0.5}}


@dataclass(frozen=True, slots=True)
class Fault:
    """`befall` does it to a desk and waits until it has passed; `incidents` are types of which one is to be opened and
    closed once, none where that is empty. `leaves_gap`: whether it must, and the gap must be mended."""

    name: str
    befall: Callable[[Desk], Awaitable[None]]
    incidents: tuple[str, ...] = ABSENT
    settings: Settings = field(default_factory=dict)
    leaves_gap: bool = False
    broker: Mapping[str, str] | None = None
    """Properties of a broker of its own; None where it does it no harm."""
    desk: Mapping[str, Any] = field(default_factory=dict)


_GATEWAY: Final = (
    # Each that ends sessions at once is followed by some seconds in which no new one begins: long enough to be told.
    Fault("gateway: FIN", gateways.ends("fin")),
    Fault("gateway: RST", gateways.ends("rst")),
    Fault("gateway: FIN inside of a record", gateways.ends("cut")),
    Fault("gateway: RST inside of a record", gateways.ends("cut", reset=True)),
    Fault("gateway: internal error", gateways.ends("error", code=6)),
    Fault("gateway: replay refused as too old", gateways.ends("error", code=8), leaves_gap=True),
    Fault("gateway: outage", gateways.lasts("outage")),
    Fault("gateway: outage beyond what is resumed", gateways.lasts("outage"), settings=BEYOND, leaves_gap=True),
    Fault("gateway: outage, and a minute later", gateways.outage_and_later, settings=BEYOND, leaves_gap=True),
    Fault("gateway: flapping", gateways.lasts("flap", every_ms=120.0)),
    Fault("gateway: half-open connection", gateways.half_open, settings=IMPATIENT),
    Fault(
        "gateway: no greeting",
        gateways.ends("fin", then="black-hole", stage="connection"),
        settings={"databento": {"authentication_timeout_s": 1}},
    ),
    Fault(
        "gateway: one schema stalls",
        gateways.stalls,
        settings={"databento": {"mbo_silence_s": 1.5}},
    ),
    Fault("gateway: over the connection limit", gateways.lasts("connection-limit")),
    Fault("gateway: key revoked", gateways.stops("revoked-key")),
    Fault("gateway: licence ended", gateways.stops("unentitled", first="rst")),
    # Records that are on the tape are lacking: of others only the vendor's count would tell.
    Fault(
        "gateway: replay lacks records",
        gateways.lacks_records,
        settings={"databento": {"resume_overlap_s": 60}},
        leaves_gap=True,
    ),
    Fault(
        "gateway: doubtful book",
        gateways.doubtful_book,
        ("feed_degraded",),
        settings={"watchdog": {"incident_degraded_s": 1}},
        leaves_gap=True,
    ),
    Fault("gateway: slow reader, warned", gateways.lasts("slow-reader"), ()),
)

FAULTS: Final[tuple[Fault, ...]] = (
    Fault("producer: SIGKILL", workers.producer_killed),
    Fault("producer: SIGKILL, back beyond what is resumed", workers.producer_killed, settings=BEYOND, leaves_gap=True),
    Fault("producer: SIGSTOP, taken over, awake again", workers.producer_sleeps),
    *_GATEWAY,
    Fault("broker: SIGKILL and restart", brokers.killed, ("broker_away",), broker={}),
    Fault("broker: SIGSTOP for 30 s", brokers.paused, ("broker_away",), broker={}),
    Fault(
        "processor: SIGKILL",
        workers.processor_killed,
        ("consumer_lag", "stuck_worker"),
        settings={"watchdog": {"incident_lag_hold_s": 2}},
    ),
    Fault("processor: SIGKILL of one of two, rebalance", workers.processor_of_two_killed, ()),
    Fault("backfill: SIGKILL five times", workers.backfill_killed, settings=SLOWLY, leaves_gap=True),
    Fault("backfill: zombie twin", workers.backfill_sleeps, settings=SLOWLY, leaves_gap=True),
    Fault("replays: twice and overlapping", requests.overlapping, settings=BEYOND, leaves_gap=True),
    Fault("replays: two gaps in one session", requests.two_gaps, settings=BEYOND, leaves_gap=True),
    Fault("records: poison and oversize", tapes.poisoned, ("dead_letters",)),
    Fault(
        "records: retention races late data",
        tapes.late,
        settings=BEYOND,
        leaves_gap=True,
        broker={"log.retention.check.interval.ms": "500"},
    ),
    Fault("clock: vendor 5 min ahead", gateways.lasts("outage"), desk={"ahead_ns": clocks.FIVE_MINUTES_NS}),
    Fault(
        "clock: vendor 5 min behind",
        clocks.put_right,
        ("feed_degraded",),
        settings={"watchdog": {"incident_degraded_s": 2}},
        desk={"ahead_ns": -clocks.FIVE_MINUTES_NS, "records_per_s": 100.0},
    ),
    Fault("market: closes for the weekend", clocks.closes, (), desk=clocks.at_the_close("2026-12-05")),
    Fault("market: half-day before a holiday", clocks.closes, (), desk=clocks.at_the_close("2026-11-27")),
)
