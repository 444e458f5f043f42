"""Requests of md.backfill-requests.v1, and what became of them: the events of md.backfill-events.v1."""

from __future__ import annotations

import uuid
from typing import Annotated, Final, Literal, Self

import orjson
from pydantic import Field, model_validator

from tapeline.model.columns import TickKind
from tapeline.model.control import ControlDocument, Count, Interval, Nanoseconds, Text

REQUESTS_TOPIC: Final = "md.backfill-requests.v1"
EVENTS_TOPIC: Final = "md.backfill-events.v1"
WHOLE_STREAM: Final = ("*",)

_IDS: Final = uuid.UUID("7d1f7c1c-3a0e-5f0b-9a5e-0c7f4e1b6a52")

BackEnd = Literal["replay", "historical", "saved"]
EventType = Literal[
    "requested",
    "accepted",
    "rejected",
    "estimated",
    "started",
    "progress",
    "completed",
    "proven",
    "recomputed",
    "failed",
    "dead_lettered",
    "cancelled",
]
FINAL: Final[frozenset[EventType]] = frozenset({"rejected", "dead_lettered", "cancelled", "proven", "recomputed"})
"""After these nothing more is done for a request, unless what is newly filled is still to be recomputed."""


class BackfillRequest(ControlDocument):
    """What is to be put on the tape: ticks of one kind of a stream whose venue time lies within the window.

    `id` is that of `request_id` for a backfill; a command `cancel` names the request that it is about by the same id.
    `symbols` are raw symbols, or ``("*",)`` for the whole stream. `gap_id` names the gap that led to it, if one did.
    What would cost more than `cost_cap_micro_usd` is refused; None: the service's own cap holds.
    """

    schema_: Literal["backfill-request.v1"] = Field(default="backfill-request.v1", alias="schema")
    command: Literal["backfill", "cancel"] = "backfill"
    id: Text
    source: Text
    dataset: Text
    stream: Text
    kind: TickKind
    symbols: Annotated[tuple[Text, ...], Field(min_length=1)] = WHOLE_STREAM
    window: Interval
    gap_id: Text | None = None
    cost_cap_micro_usd: Count | None = None
    requested_by: Text
    requested_at: Nanoseconds
    reason: str = ""

    model_config = ControlDocument.model_config | {"populate_by_name": True}

    @model_validator(mode="after")
    def _holds(self) -> Self:
        if self.window.ts_event_until <= self.window.ts_event_from:
            raise ValueError("window must end after it begins")
        wanted = request_id(self.source, self.dataset, self.stream, self.kind, self.symbols, self.window)
        if self.id != wanted:
            raise ValueError(f"id must be {wanted}, the uuid5 of what is asked for")
        return self


class BackfillEvent(ControlDocument):
    """One step of a request. Each has all that is known by then, as compaction keeps only the last one.

    `read`, `published` and `skipped` count records: those of the vendor within the window, those put on the tape, and
    those that were on it. `cursor` is where the next chunk begins. `counted` is the vendor's own count of the window.
    `ids` is the xor of the event ids' hashes that were published, in hexadecimal digits. `proven_empty`: the vendor has
    nothing there. Money is micro-dollars. Times are ns since the epoch.
    """

    schema_: Literal["backfill-event.v1"] = Field(default="backfill-event.v1", alias="schema")
    type: EventType
    request: BackfillRequest
    at: Nanoseconds
    worker: str = ""
    attempt: Count = 0
    back_end: BackEnd | None = None
    reason: str = ""
    failure: Literal["transient", "permanent"] | None = None
    next_attempt_at: Nanoseconds | None = None
    estimated_records: Count | None = None
    cost_micro_usd: Count | None = None
    cursor: Text | None = None
    read: Count = 0
    published: Count = 0
    skipped: Count = 0
    bytes: Count = 0
    counted: Count | None = None
    ids: str = ""
    proven_empty: bool = False
    revised_rows: Count | None = None

    model_config = ControlDocument.model_config | {"populate_by_name": True}

    @property
    def key(self) -> str:
        """The message's key."""
        return self.request.id


def request_id(source: str, dataset: str, stream: str, kind: str, symbols: tuple[str, ...], window: Interval) -> str:
    """Return the id that everybody gives to a request for the same: uuid5 of its canonical form."""
    bounds = [str(window.ts_event_from), str(window.ts_event_until)]
    return str(uuid.uuid5(_IDS, orjson.dumps([source, dataset, stream, kind, sorted(symbols), *bounds]).decode()))
