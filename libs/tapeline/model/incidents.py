"""Incidents of md.incidents.v1: what went wrong, since when, on what evidence, and what was done about it."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from tapeline.model.control import ControlDocument, Count, Nanoseconds, Text

TOPIC: Final = "md.incidents.v1"

IncidentType = Literal[
    "feed_disconnected",
    "feed_silent",
    "feed_degraded",
    "gap",
    "consumer_lag",
    "stuck_worker",
    "backfill_failed",
    "budget",
]


class Incident(ControlDocument):
    """One thing that is wrong with one subject, from when it began until it was over. Times are ns since the epoch.

    `id` is the uuid5 of type, subject and `opened_at`. `subject` names what it is about, such as
    ``databento/GLBX.MDP3/NQ.FUT/mbo`` or ``group/tapeline-processor``. `flaps` counts how often it came back before it
    was over for good. `request_ids` are the backfills that it led to.
    """

    schema_: Literal["incident.v1"] = Field("incident.v1", alias="schema")
    id: Text
    type: IncidentType
    state: Literal["open", "closed"]
    severity: Literal["warning", "critical"]
    subject: Text
    summary: Text
    evidence: Annotated[tuple[Text, ...], Field(max_length=20)] = ()
    request_ids: tuple[Text, ...] = ()
    flaps: Count = 0
    opened_at: Nanoseconds
    changed_at: Nanoseconds
    closed_at: Nanoseconds | None = None

    model_config = ControlDocument.model_config | {"populate_by_name": True}

    @property
    def key(self) -> str:
        """The message's key."""
        return self.id
