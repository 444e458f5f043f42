"""Pack the states of several operators, each packed already, into the one state of a checkpoint, and back."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final

import orjson

from tapeline.errors import BadData
from tapeline.orderflow.packing import MAGIC

PRESSURE: Final = "pressure"
"""The part that older checkpoints are, as a whole."""

_MAGIC: Final = b"TLPS"
_VERSION: Final = 1
_PREFIX: Final = struct.Struct("<4sII")  # magic, version, length of the header


def pack_parts(parts: Mapping[str, bytes]) -> bytes:
    """Return the named parts as bytes: a header with their lengths, then each as it is."""
    header = orjson.dumps({name: len(part) for name, part in parts.items()})
    return b"".join([_PREFIX.pack(_MAGIC, _VERSION, len(header)), header, *parts.values()])


def unpack_parts(data: bytes) -> dict[str, bytes]:
    """Return what `pack_parts` was given, or, of a checkpoint from before there were parts, its one part.

    Raises BadData on a foreign version and on damaged bytes. That a part is whole is for its own checksum to say.
    """
    if data.startswith(MAGIC):
        return {PRESSURE: data}
    if len(data) < _PREFIX.size or not data.startswith(_MAGIC):
        raise BadData("checkpoint", "is neither parts of a state nor a packed pressure state")
    _, version, header_bytes = _PREFIX.unpack_from(data)
    if version != _VERSION:
        raise BadData("checkpoint.version", f"must be {_VERSION}, is {version}", "start from the log without it")
    at = _PREFIX.size + header_bytes
    try:
        lengths: dict[str, Any] = orjson.loads(data[_PREFIX.size : at])
    except orjson.JSONDecodeError as error:
        raise BadData("checkpoint", f"is damaged: {error}") from None
    if sum(lengths.values()) != len(data) - at:
        raise BadData("checkpoint", "is damaged: its parts are not as long as it says")
    parts = {}
    for name, length in lengths.items():
        parts[name] = data[at : at + length]
        at += length
    return parts
