"""Bytes received in pieces come out whole, and never more than the limit waits."""

from __future__ import annotations

import pytest

from tapeline_databento.receiving import ReceiveBuffer


def put(buffer: ReceiveBuffer, data: bytes) -> None:
    buffer.room()[: len(data)] = data
    buffer.received(len(data))


def test_what_was_not_used_comes_before_what_came_later() -> None:
    buffer = ReceiveBuffer(8, 4)
    put(buffer, b"abc")
    put(buffer, b"de")
    assert (len(buffer), bytes(buffer.rest)) == (5, b"")
    buffer.take()
    assert (len(buffer), bytes(buffer.rest)) == (0, b"abcde")
    buffer.use(2)
    put(buffer, b"fgh")
    assert bytes(buffer.rest) == b"cde", "what is decoded does not change while more arrives"
    buffer.take()
    assert bytes(buffer.rest) == b"cdefgh"
    buffer.use(6)
    buffer.take()
    assert bytes(buffer.rest) == b""


def test_it_is_full_at_its_limit_and_has_room_again_once_taken() -> None:
    buffer = ReceiveBuffer(4, 2)
    assert len(buffer.room()) == 4
    put(buffer, b"abcd")
    assert buffer.is_full
    assert len(buffer.room()) == 0
    buffer.take()
    assert not buffer.is_full
    assert len(buffer.room()) == 4


def test_a_rest_that_is_too_long_is_told() -> None:
    buffer = ReceiveBuffer(4, 2)
    put(buffer, b"abc")
    buffer.take()
    with pytest.raises(BufferError, match="a rest of 3 bytes is more than 2"):
        buffer.take()
