"""Write closed windows as JSON, byte by byte: a dict and an encoder per row would cost more than the book itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import orjson

from tapeline.orderflow.compiled import COPIED_BYTES, copy_bytes, inlined, kernel
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
_TAIL: Final = b"]}"
Bytes = npt.NDArray[np.uint8]

_LONGEST_NUMBER: Final = 21
_DIGIT: Final = ord("0")
_MINUS: Final = ord("-")
_POINT: Final = ord(".")


_PAIRS: Final = np.frombuffer(b"".join(b"%02d" % i for i in range(100)), dtype=np.uint8)


class Texts:
    """Byte strings in one array: `text` (uint8), text i at [starts[i], starts[i + 1]), and padding for `copy_bytes`."""

    def __init__(self, texts: Sequence[bytes] = ()) -> None:
        self.longest = 0
        self._joined = bytearray()
        self._starts = [0]
        self._update()
        for text in texts:
            self.append(text)

    def append(self, text: bytes) -> None:
        """Add one text at the end."""
        self._joined += text
        self._starts.append(len(self._joined))
        self.longest = max(self.longest, len(text))
        self._update()

    def _update(self) -> None:
        self.text: Bytes = np.frombuffer(bytes(self._joined) + bytes(COPIED_BYTES), dtype=np.uint8)
        self.starts: Int64s = np.array(self._starts, dtype=np.int64)


def _names_of(bits: int) -> list[str]:
    return [name for i, name in enumerate(REASON_NAMES) if bits >> i & 1]


_REASONS: Final = Texts([orjson.dumps(_names_of(bits)) + b"}" for bits in range(REPORTED_REASONS + 1)])
_KEYS: Final = Texts(
    [
        b',{"symbol":',
        b',"window_start":"',
        *(f',"{name}":'.encode() for name, _ in METRICS[1:]),
        *(
            f',"book_valid":{book},"trade_valid":{trade},"reasons":'.encode()
            for trade in ("true", "false")
            for book in ("true", "false")
        ),
    ]
)
_SYMBOL_KEY: Final = 0
_START_KEY: Final = 1
_SECOND_METRIC_KEY: Final = 2
_VALIDITY_KEY: Final = _SECOND_METRIC_KEY + len(METRICS) - 1
_IS_RATIO: Final = np.array([is_ratio for _, is_ratio in METRICS])


@inlined
def put_text(out: Bytes, at: int, texts: Bytes, starts: Int64s, number: int) -> int:
    """Copy a text, and what is behind it up to a block: the next text is written over that."""
    start, stop = starts[number], starts[number + 1]
    for i in range(0, stop - start, COPIED_BYTES):
        copy_bytes(out, at + i, texts, start + i)
    return at + int(stop - start)


@inlined
def put_digits(out: Bytes, at: int, value: int) -> int:
    """Write a number that is not negative."""
    if value < 10:
        out[at] = _DIGIT + value
        return at + 1
    width, limit = 2, 100
    while width < 19 and value >= limit:
        width += 1
        limit *= 10
    put_fixed(out, at, np.uint64(value), width)
    return at + width


@inlined
def put_fixed(out: Bytes, at: int, rest: np.uint64, width: int) -> None:
    """Write exactly `width` digits, two at a time from the right."""
    while width >= 2:
        quotient = rest // np.uint64(100)
        pair = (rest - quotient * np.uint64(100)) * np.uint64(2)
        rest = quotient
        width -= 2
        out[at + width] = _PAIRS[pair]
        out[at + width + 1] = _PAIRS[pair + np.uint64(1)]
    if width:
        out[at] = np.uint64(_DIGIT) + rest


@inlined
def put_number(out: Bytes, at: int, value: int) -> int:
    """Write a whole number."""
    if value < 0:
        out[at] = _MINUS
        at += 1
        value = -value
    return put_digits(out, at, value)


@inlined
def put_ratio(out: Bytes, at: int, value: int) -> int:
    """Write value ÷ RATIO_UNIT as a decimal without zeros at its end."""
    if value < 0:
        out[at] = _MINUS
        at += 1
        value = -value
    whole = np.uint64(value) // np.uint64(RATIO_UNIT)
    part = np.uint64(value) - whole * np.uint64(RATIO_UNIT)
    at = put_digits(out, at, int(whole))
    if part == 0:
        return at
    out[at] = _POINT
    put_fixed(out, at + 1, part, RATIO_DIGITS)
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
    at: int,
    ends: Int64s,
) -> int:
    """Write `count` rows to out[at], each after a comma; `ends` takes where each ends. Return where the last ends."""
    for r in range(count):
        at = put_text(out, at, keys, key_starts, _SYMBOL_KEY)
        slot = rows[r, ROW_SLOT]
        at = put_text(out, at, symbols, symbol_starts, slot)
        at = put_text(out, at, keys, key_starts, _START_KEY)
        at = put_number(out, at, rows[r, ROW_START])
        level = rows[r, ROW_LEVEL]
        at = put_text(out, at, windows, window_starts, level)
        for i in range(len(is_ratio)):
            if i > 0:
                at = put_text(out, at, keys, key_starts, _SECOND_METRIC_KEY + i - 1)
            value = rows[r, ROW_VALUES + i]
            if value == NULL:
                out[at], out[at + 1], out[at + 2], out[at + 3] = 110, 117, 108, 108
                at += 4
            elif is_ratio[i]:
                at = put_ratio(out, at, value)
            else:
                at = put_number(out, at, value)
        bits = rows[r, ROW_REASONS]
        validity = (1 if bits & BOOK_IS_INVALID else 0) + (2 if bits & IS_TOUCHED else 0)
        at = put_text(out, at, keys, key_starts, _VALIDITY_KEY + validity)
        bits &= REPORTED_REASONS
        at = put_text(out, at, reasons, reason_starts, bits)
        ends[r] = at
    return at


class RowBuffer:
    """Rows as JSON objects, each after a comma, until they are taken as messages. One serves many writers in turn."""

    def __init__(self) -> None:
        self.used = 0
        self.count = 0
        self.out: Bytes = np.empty(0, dtype=np.uint8)
        self.ends: Int64s = np.empty(0, dtype=np.int64)

    def make_room(self, rows: int, row_bytes: int) -> None:
        """Make room for some more rows of at most `row_bytes`."""
        wanted = self.used + rows * row_bytes + COPIED_BYTES
        if wanted > len(self.out):
            out = np.empty(wanted, dtype=np.uint8)
            out[: self.used] = self.out[: self.used]
            self.out = out
        if self.count + rows > len(self.ends):
            self.ends = np.concatenate([self.ends[: self.count], np.empty(rows, dtype=np.int64)])

    def take(self, head: bytes, most_bytes: int) -> list[tuple[bytes, int]]:
        """Return messages (JSON, number of rows) of at most `most_bytes`; a longer row has one of its own."""
        messages: list[tuple[bytes, int]] = []
        room = most_bytes - len(head) - len(_TAIL)
        rows = self.out.data
        start = first = 0
        while first < self.count:
            # The comma before the first row is left out.
            last = max(int(np.searchsorted(self.ends[: self.count], start + 1 + room, side="right")), first + 1)
            stop = int(self.ends[last - 1])
            messages.append((b"".join([head, rows[start + 1 : stop], _TAIL]), last - first))
            start, first = stop, last
        self.used = self.count = 0
        return messages


class RowWriter:
    """Writes the rows of one (stream, kind) to a buffer; `add_symbol` names its slots in order."""

    def __init__(self, windows_ms: Sequence[int], buffer: RowBuffer) -> None:
        self._buffer = buffer
        self._symbols = Texts()
        self._windows = Texts(
            [f'","window_ms":{length},"revision":1,"basis":"live","{METRICS[0][0]}":'.encode() for length in windows_ms]
        )

    def add_symbol(self, symbol: str) -> None:
        """Name the next slot."""
        self._symbols.append(orjson.dumps(symbol))

    def write(self, rows: Int64s, count: int) -> None:
        """Append the first `count` rows."""
        buffer = self._buffer
        texts = len(_KEYS.text) + self._windows.longest + self._symbols.longest + _REASONS.longest
        buffer.make_room(count, texts + _LONGEST_NUMBER * (len(METRICS) + 1))
        buffer.used = write_rows(
            rows,
            count,
            _KEYS.text,
            _KEYS.starts,
            self._windows.text,
            self._windows.starts,
            self._symbols.text,
            self._symbols.starts,
            _REASONS.text,
            _REASONS.starts,
            _IS_RATIO,
            buffer.out,
            buffer.used,
            buffer.ends[buffer.count :],
        )
        buffer.count += count


def message_head(source: str, stream: str, kind: str) -> bytes:
    """Return a row message up to its first row."""
    header = {"schema": SCHEMA, "source": source, "stream": stream, "kind": kind}
    return orjson.dumps(header)[:-1] + b',"rows":['
