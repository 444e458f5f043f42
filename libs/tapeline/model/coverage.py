"""Coverage of md.coverage.v1: what of a stream, kind and trading day is on the tape, and what is missing."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import Field

from tapeline.model.columns import TickKind
from tapeline.model.control import ControlDocument, Interval, Nanoseconds, Text

TOPIC: Final = "md.coverage.v1"

GapStage = Literal["open", "bounded", "requested", "filled", "proven", "given_up"]
"""open: it goes on; bounded: the stream is live again; filled: what was missing is on the tape; proven: the vendor's
own count agrees; given_up: no backfill can fill it, `given_up` says why."""


class MissingInterval(ControlDocument):
    """A gap, or its part within the trading day. Times are ns since the epoch, None where they are not known.

    `reason` says why there is a gap, `opened_at` when its producer said so.
    """

    gap_id: Text
    stage: GapStage
    symbols: tuple[Text, ...]
    reason: str
    ts_event_from: Nanoseconds | None = None
    ts_event_until: Nanoseconds | None = None
    request_id: Text | None = None
    opened_at: Nanoseconds | None = None
    given_up: str = ""


class Coverage(ControlDocument):
    """What is covered of one stream and kind on one trading day. Intervals are in order and do not touch.

    `covered` is what is on the tape, backfilled parts included; `backfilled` what of it only requests for the whole
    stream stand for, by what is known of them now; `missing` the gaps that are not proven yet, and those that are given
    up; `proven_empty` where the vendor itself has nothing.
    """

    schema_: Literal["coverage.v1"] = Field(default="coverage.v1", alias="schema")
    source: Text
    stream: Text
    kind: TickKind
    trading_day: Text
    covered: tuple[Interval, ...] = ()
    backfilled: tuple[Interval, ...] = ()
    missing: tuple[MissingInterval, ...] = ()
    proven_empty: tuple[Interval, ...] = ()
    at: Nanoseconds

    model_config = ControlDocument.model_config | {"populate_by_name": True}

    @property
    def key(self) -> str:
        """The message's key."""
        return f"{self.source}/{self.stream}/{self.kind}/{self.trading_day}"
