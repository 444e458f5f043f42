"""Incidents of md.incidents.v1: what went wrong, since when, on what evidence, and what was done about it."""

from __future__ import annotations

import uuid
from typing import Annotated, Final, Literal

import orjson
from pydantic import Field

from tapeline.model.control import ControlDocument, Count, Nanoseconds, Text

TOPIC: Final = "md.incidents.v1"
MOST_EVIDENCE: Final = 20

_IDS: Final = uuid.UUID("5b0d7f3e-6f1c-5c52-8f35-0e2c2a1d9b64")

IncidentType = Literal[
    "feed_disconnected",
    "feed_silent",
    "feed_degraded",
    "gap",
    "consumer_lag",
    "stuck_worker",
    "backfill_failed",
    "budget",
    "broker_away",
    "dead_letters",
]


class Incident(ControlDocument):
    """One thing that is wrong with one subject, from when it began until it was over. Times are ns since the epoch.

    `id` is that of `incident_id`. `subject` names what it is about, such as ``databento/GLBX.MDP3/NQ.FUT``,
    ``databento`` or ``group/tapeline-processor``. `evidence` is lines of ``what: how``. `flaps` counts how often it
    came back before it was over for good. `request_ids` are the backfills that it led to. `told` is the last of its
    states that people were notified of, None where nobody was.
    """

    schema_: Literal["incident.v1"] = Field(default="incident.v1", alias="schema")
    id: Text
    type: IncidentType
    state: Literal["open", "closed"]
    severity: Literal["warning", "critical"]
    subject: Text
    summary: Text
    evidence: Annotated[tuple[Text, ...], Field(max_length=MOST_EVIDENCE)] = ()
    request_ids: tuple[Text, ...] = ()
    flaps: Count = 0
    opened_at: Nanoseconds
    changed_at: Nanoseconds
    closed_at: Nanoseconds | None = None
    told: Literal["open", "closed"] | None = None

    model_config = ControlDocument.model_config | {"populate_by_name": True}

    @property
    def key(self) -> str:
        """The message's key."""
        return self.id


def incident_id(kind: IncidentType, subject: str, opened_at: int) -> str:
    """Return the id of an incident that began at `opened_at` (ns since the epoch): the uuid5 of the three."""
    return str(uuid.uuid5(_IDS, orjson.dumps([kind, subject, str(opened_at)]).decode()))
