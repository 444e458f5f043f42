"""Write closed windows as JSON, byte by byte: a dict and an encoder per row would cost more than the book itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import orjson

from tapeline.orderflow.compiled import inlined, kernel
from tapeline.orderflow.layout import (
    BOOK_IS_INVALID,
    IS_TOUCHED,
    METRICS,
    NULL,
    RATIO_DIGITS,
    RATIO_UNIT,
    REASON_NAMES,
    REPORTED_REASONS,
    ROW_LEVEL,
    ROW_REASONS,
    ROW_SLOT,
    ROW_START,
    ROW_VALUES,
    Int64s,
)

SCHEMA: Final = "pressure.v1"
Bytes = npt.NDArray[np.uint8]

_LONGEST_NUMBER: Final = 21
_DIGIT: Final = ord("0")
_MINUS: Final = ord("-")
_POINT: Final = ord(".")
_COMMA: Final = ord(",")
_QUOTE: Final = ord('"')


class Texts:
    """Byte strings of unequal length in one array: `text` (uint8), text i at [starts[i], starts[i + 1])."""

    def __init__(self, texts: Sequence[bytes] = ()) -> None:
        self._longest = 0
        self._text = bytearray()
        self._starts = [0]
        for text in texts:
            self.append(text)

    def append(self, text: bytes) -> None:
        """Add one text at the end."""
        self._text += text
        self._starts.append(len(self._text))
        self._longest = max(self._longest, len(text))
        self.text: Bytes = np.frombuffer(bytes(self._text), dtype=np.uint8)
        self.starts: Int64s = np.array(self._starts, dtype=np.int64)

    @property
    def longest(self) -> int:
        """Bytes of the longest text."""
        return self._longest


def _names_of(bits: int) -> list[str]:
    return [name for i, name in enumerate(REASON_NAMES) if bits >> i & 1]


_REASONS: Final = Texts([orjson.dumps(_names_of(bits)) + b"}" for bits in range(REPORTED_REASONS + 1)])
_KEYS: Final = Texts(
    [
        b'{"symbol":',
        b',"window_start":"',
        *(f',"{name}":'.encode() for name, _ in METRICS[1:]),
        b',"book_valid":true,"trade_valid":true,"reasons":',
        b',"book_valid":false,"trade_valid":true,"reasons":',
        b',"book_valid":true,"trade_valid":false,"reasons":',
        b',"book_valid":false,"trade_valid":false,"reasons":',
    ]
)
_SYMBOL_KEY: Final = 0
_START_KEY: Final = 1
_SECOND_METRIC_KEY: Final = 2
_VALIDITY_KEY: Final = _SECOND_METRIC_KEY + len(METRICS) - 1
_IS_RATIO: Final = np.array([is_ratio for _, is_ratio in METRICS])


@inlined
def put_text(out: Bytes, at: int, text: Bytes, start: int, stop: int) -> int:
    """Copy text[start:stop) to out[at]; return where it ends."""
    for i in range(stop - start):
        out[at + i] = text[start + i]
    return at + stop - start


@inlined
def put_digits(out: Bytes, at: int, value: int) -> int:
    """Write a number that is not negative."""
    if value < 10:
        out[at] = _DIGIT + value
        return at + 1
    width, rest = 0, value
    while rest > 0:
        rest //= 10
        width += 1
    end = at + width
    for i in range(width):
        out[end - 1 - i] = _DIGIT + value % 10
        value //= 10
    return end


@inlined
def put_number(out: Bytes, at: int, value: int) -> int:
    """Write a whole number."""
    if value < 0:
        out[at] = _MINUS
        return put_digits(out, at + 1, -value)
    return put_digits(out, at, value)


@inlined
def put_ratio(out: Bytes, at: int, value: int) -> int:
    """Write value ÷ RATIO_UNIT as a decimal without zeros at its end."""
    if value < 0:
        out[at] = _MINUS
        at += 1
        value = -value
    whole = value // RATIO_UNIT
    part = value - whole * RATIO_UNIT
    at = put_digits(out, at, whole)
    if part == 0:
        return at
    out[at] = _POINT
    for i in range(RATIO_DIGITS):
        out[at + RATIO_DIGITS - i] = _DIGIT + part % 10
        part //= 10
    at += RATIO_DIGITS
    while out[at] == _DIGIT:
        at -= 1
    return at + 1


@kernel
def write_rows(
    rows: Int64s,
    count: int,
    keys: Bytes,
    key_starts: Int64s,
    windows: Bytes,
    window_starts: Int64s,
    symbols: Bytes,
    symbol_starts: Int64s,
    reasons: Bytes,
    reason_starts: Int64s,
    is_ratio: npt.NDArray[np.bool_],
    out: Bytes,
    ends: Int64s,
) -> int:
    """Write `count` rows to `out`, each after a comma; `ends` takes where each ends. Return the bytes written."""
    at = 0
    for r in range(count):
        out[at] = _COMMA
        at = put_text(out, at + 1, keys, key_starts[_SYMBOL_KEY], key_starts[_SYMBOL_KEY + 1])
        slot = rows[r, ROW_SLOT]
        at = put_text(out, at, symbols, symbol_starts[slot], symbol_starts[slot + 1])
        at = put_text(out, at, keys, key_starts[_START_KEY], key_starts[_START_KEY + 1])
        at = put_number(out, at, rows[r, ROW_START])
        level = rows[r, ROW_LEVEL]
        at = put_text(out, at, windows, window_starts[level], window_starts[level + 1])
        for i in range(len(is_ratio)):
            if i > 0:
                key = _SECOND_METRIC_KEY + i - 1
                at = put_text(out, at, keys, key_starts[key], key_starts[key + 1])
            value = rows[r, ROW_VALUES + i]
            if value == NULL:
                out[at], out[at + 1], out[at + 2], out[at + 3] = 110, 117, 108, 108
                at += 4
            elif is_ratio[i]:
                at = put_ratio(out, at, value)
            else:
                at = put_number(out, at, value)
        bits = rows[r, ROW_REASONS]
        key = _VALIDITY_KEY + (1 if bits & BOOK_IS_INVALID else 0) + (2 if bits & IS_TOUCHED else 0)
        at = put_text(out, at, keys, key_starts[key], key_starts[key + 1])
        bits &= REPORTED_REASONS
        at = put_text(out, at, reasons, reason_starts[bits], reason_starts[bits + 1])
        ends[r] = at
    return at


class RowWriter:
    """Writes rows of one (stream, kind); `symbols` grows with its slots."""

    def __init__(self, windows_ms: Sequence[int]) -> None:
        self.symbols = Texts()
        self._windows = Texts(
            [f'","window_ms":{length},"revision":1,"basis":"live","{METRICS[0][0]}":'.encode() for length in windows_ms]
        )

    def add_symbol(self, symbol: str) -> None:
        """Name the next slot."""
        self.symbols.append(orjson.dumps(symbol))

    def write(self, rows: Int64s, count: int) -> tuple[bytes, Int64s]:
        """Return the first `count` rows as JSON objects, each after a comma, and where each ends (int64)."""
        longest = (
            len(_KEYS.text) + self._windows.longest + self.symbols.longest + _REASONS.longest
        ) + _LONGEST_NUMBER * (len(METRICS) + 2)
        out = np.empty(count * longest, dtype=np.uint8)
        ends = np.empty(count, dtype=np.int64)
        written = write_rows(
            rows,
            count,
            _KEYS.text,
            _KEYS.starts,
            self._windows.text,
            self._windows.starts,
            self.symbols.text,
            self.symbols.starts,
            _REASONS.text,
            _REASONS.starts,
            _IS_RATIO,
            out,
            ends,
        )
        return out[:written].tobytes(), ends


def message_head(source: str, stream: str, kind: str) -> bytes:
    """Return a row message up to its first row."""
    header = {"schema": SCHEMA, "source": source, "stream": stream, "kind": kind}
    return orjson.dumps(header)[:-1] + b',"rows":['
