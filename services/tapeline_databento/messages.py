"""What the gateway says between the records: heartbeats, notices, errors. Pure.

Codes: databento/dbn, `rust/dbn/src/enums.rs`; which errors end a session: databento.com/docs (live API, errors).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from tapeline.errors import Refused, TapelineError
from tapeline.feed.dbn_records import Array
from tapeline_databento.errors import GatewayError, KeyRefused, ReplayAgedOut
from tapeline_databento.subscriptions import KINDS

_UNSET: Final = 255
_HEARTBEAT: Final = "Heartbeat"
_SCHEMA: Final = re.compile(r"(?<![\w-])(" + "|".join(sorted(KINDS, key=len, reverse=True)) + r")(?![\w-])")


class Notice(IntEnum):
    """Codes of system messages."""

    HEARTBEAT = 0
    SUBSCRIPTION_ACKNOWLEDGED = 1
    SLOW_READER_WARNING = 2
    REPLAY_COMPLETED = 3
    END_OF_INTERVAL = 4


class Fault(IntEnum):
    """Codes of error messages."""

    AUTHENTICATION_FAILED = 1
    KEY_DEACTIVATED = 2
    CONNECTION_LIMIT_EXCEEDED = 3
    SYMBOL_RESOLUTION_FAILED = 4
    INVALID_SUBSCRIPTION = 5
    INTERNAL_ERROR = 6
    SKIPPED_RECORDS = 7
    REPLAY_DATA_AGED_OUT = 8


@dataclass(frozen=True, slots=True)
class Message:
    """A system or error message; `code` is a `Notice` or a `Fault`, or 255 where the gateway gives none."""

    code: int
    text: str
    at_ns: int
    """The gateway's time, ns since the epoch."""


def system_messages(records: Array) -> list[Message]:
    """Return what a run of system records says; the first version of DBN knows heartbeats by their text alone."""
    return [
        message if message.code != _UNSET or message.text != _HEARTBEAT else Message(0, message.text, message.at_ns)
        for message in _messages(records, "msg")
    ]


def error_messages(records: Array) -> list[Message]:
    """Return what a run of error records says."""
    return _messages(records, "err")


def ending(error: Message, name: str) -> TapelineError | None:
    """Return what ends the session after `error`, None where the session goes on. `name` is what errors call it."""
    said = f"{name}: the gateway says: {error.text} (error {error.code})"
    match error.code:
        case Fault.SYMBOL_RESOLUTION_FAILED | Fault.SKIPPED_RECORDS:
            return None
        case Fault.AUTHENTICATION_FAILED | Fault.KEY_DEACTIVATED:
            return KeyRefused(
                f"{said}; check the key in TAPELINE_DATABENTO_API_KEY and, at databento.com, what it is entitled to"
            )
        case Fault.INVALID_SUBSCRIPTION:
            return Refused(f"{said}; check TAPELINE_DATABENTO_SUBSCRIPTIONS")
        case Fault.REPLAY_DATA_AGED_OUT:
            return ReplayAgedOut(said)
    return GatewayError(said)


def schema_in(text: str) -> str | None:
    """Return the schema that a message names, None where it names none."""
    found = _SCHEMA.search(text)
    return found and found[1]


def _messages(records: Array, text_field: str) -> list[Message]:
    codes = records["code"].tolist() if "code" in (records.dtype.names or ()) else [_UNSET] * len(records)
    texts = [text.decode("utf-8", "replace") for text in records[text_field].tolist()]
    return [Message(*each) for each in zip(codes, texts, records["ts_event"].tolist(), strict=True)]
