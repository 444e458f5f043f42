"""What goes over the wire of the Live Subscription Gateway besides data: control lines, and records it makes. Pure.

Texts of records: databento/dbn, `rust/dbn/src/v2.rs`, by which older versions tell their codes; what users report.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum
from hmac import compare_digest
from typing import Final

import numpy as np
from databento_dbn import ErrorCode, ErrorMsg, Metadata, SType, SymbolMappingMsg, SystemCode, SystemMsg

from tapeline.errors import BadData
from tapeline.feed.dbn_records import TS_OUT_BYTES, Array
from tapeline_simulator.listings import Listing

GATEWAY_VERSION: Final = "0.9.4"
LINE_BYTES: Final = 1 << 20
"""A control line is not longer."""

_UNDEFINED_NS: Final = 2**64 - 1
_LAST_OF_KEY: Final = 5


class Fault(IntEnum):
    """Codes of error records."""

    AUTH_FAILED = 1
    API_KEY_DEACTIVATED = 2
    CONNECTION_LIMIT_EXCEEDED = 3
    SYMBOL_RESOLUTION_FAILED = 4
    INVALID_SUBSCRIPTION = 5
    INTERNAL_ERROR = 6
    SKIPPED_RECORDS = 7
    REPLAY_DATA_AGED_OUT = 8


class Notice(IntEnum):
    """Codes of system records."""

    HEARTBEAT = 0
    SUBSCRIPTION_ACK = 1
    SLOW_READER_WARNING = 2
    REPLAY_COMPLETED = 3


FAULT_TEXTS: Final = {
    Fault.AUTH_FAILED: "Authentication failed",
    Fault.API_KEY_DEACTIVATED: "User or API key deactivated",
    Fault.CONNECTION_LIMIT_EXCEEDED: "User has reached their open connection limit",
    Fault.SYMBOL_RESOLUTION_FAILED: "Failed to resolve symbol {}",
    Fault.INVALID_SUBSCRIPTION: "Invalid subscription: {}",
    Fault.INTERNAL_ERROR: "Internal error",
    Fault.SKIPPED_RECORDS: "Slow client detected for {}. Skipped records",
    Fault.REPLAY_DATA_AGED_OUT: "Replay data aged out for {}",
}
"""What an error record says; the braces take what it is about."""


@dataclass(frozen=True, slots=True)
class Authentication:
    """What a client asks for when it answers the challenge."""

    answer: str
    dataset: str
    ts_out: bool
    is_compressed: bool
    heartbeat_interval_s: int | None
    skips: bool
    """Whether records may be skipped where the client reads slowly; the gateway's default."""


def fields_of(line: bytes) -> dict[str, str]:
    """Return the fields of a control line, ``k=v|k=v``. Raises BadData where it is none."""
    try:
        text = line.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise BadData("control line", "must be UTF-8") from None
    pairs = [part.partition("=") for part in text.split("|")]
    return {name: value for name, _, value in pairs}


def authentication_of(fields: dict[str, str]) -> Authentication:
    """Return what the fields of an authentication ask for. Raises BadData, with a text that the client is told."""
    for name in ("auth", "dataset"):
        if not fields.get(name):
            raise BadData(name, "must be given")
    if fields.get("encoding", "dbn") != "dbn":
        raise BadData("encoding", "must be dbn")
    interval = fields.get("heartbeat_interval_s")
    if interval is not None and not interval.isdecimal():
        raise BadData("heartbeat_interval_s", "must be a number of seconds")
    return Authentication(
        answer=fields["auth"],
        dataset=fields["dataset"],
        ts_out=_choice(fields, "ts_out", ("0", "1")) == "1",
        is_compressed=_choice(fields, "compression", ("none", "zstd")) == "zstd",
        heartbeat_interval_s=None if interval is None else int(interval),
        skips=_choice(fields, "slow_reader_behavior", ("skip", "warn")) == "skip",
    )


def _choice(fields: dict[str, str], name: str, choices: tuple[str, ...]) -> str:
    value = fields.get(name, choices[0])
    if value not in choices:
        raise BadData(name, f"must be {' or '.join(choices)}")
    return value


def answers(answer: str, challenge: str, key: str) -> bool:
    """Return whether `answer` is the one that the holder of `key` gives to `challenge`."""
    digest = hashlib.sha256(f"{challenge}|{key}".encode()).hexdigest()
    return compare_digest(answer.encode(), f"{digest}-{key[-_LAST_OF_KEY:]}".encode())


def greeting(challenge: str) -> bytes:
    """Return the two lines that a connection begins with."""
    return f"lsg_version={GATEWAY_VERSION}\ncram={challenge}\n".encode()


def accepted(session_id: str) -> bytes:
    """Return the line that says that the client is who it says it is."""
    return f"success=1|session_id={session_id}\n".encode()


def refused(reason: str) -> bytes:
    """Return the line that says why the client is turned away; a bar would end the text."""
    return f"success=0|error={reason.replace('|', '/')}\n".encode()


def head(dataset: str, start_ns: int, *, ts_out: bool) -> bytes:
    """Return the metadata that a live session begins with; but for `start_ns` they are the same in every session."""
    return bytes(
        Metadata(
            dataset=dataset,
            start=start_ns,
            stype_in=None,
            stype_out=SType("instrument_id"),
            schema=None,
            ts_out=ts_out,
            version=3,
        )
    )


def system_record(notice: Notice, text: str, at_ns: int) -> bytes:
    """Return a system record (320 bytes)."""
    return bytes(SystemMsg(at_ns, text, SystemCode.from_int(notice)))


def error_record(fault: Fault, about: str, at_ns: int) -> bytes:
    """Return an error record (320 bytes) that says what happened, and to what."""
    return bytes(ErrorMsg(at_ns, FAULT_TEXTS[fault].format(about), is_last=True, code=ErrorCode.from_int(fault)))


def mapping_record(stype_in: str, asked: str, listing: Listing, at_ns: int) -> bytes:
    """Return the record (176 bytes) that maps what was asked for to one instrument; valid from its arrival."""
    return bytes(
        SymbolMappingMsg(
            publisher_id=0,
            instrument_id=listing.instrument_id,
            ts_event=at_ns,
            stype_in=SType(stype_in),
            stype_in_symbol=asked,
            stype_out=SType("raw_symbol"),
            stype_out_symbol=listing.raw_symbol,
            start_ts=_UNDEFINED_NS,
            end_ts=_UNDEFINED_NS,
        )
    )


def with_ts_out(records: Array, ts_out_ns: int) -> Array:
    """Return the bytes of records of one type, (records, bytes) uint8, each with the time of sending at its end."""
    plain = records.view(np.uint8).reshape(len(records), -1)
    longer = np.empty((len(plain), plain.shape[1] + TS_OUT_BYTES), dtype=np.uint8)
    longer[:, :-TS_OUT_BYTES] = plain
    longer[:, 0] += TS_OUT_BYTES // 4
    longer[:, -TS_OUT_BYTES:] = np.frombuffer(ts_out_ns.to_bytes(TS_OUT_BYTES, "little"), np.uint8)
    return longer
