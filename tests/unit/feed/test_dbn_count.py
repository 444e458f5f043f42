"""Counting agrees with the official decoder, and no cut of a file passes for the whole."""

from __future__ import annotations

from pathlib import Path

import databento
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.saved.files import START_NS, head, mbo, orders, write

from tapeline.feed.dbn_count import DbnCount, count_records

PLAIN = head() + orders(500)


def packed(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=1).compress(data)


@pytest.mark.parametrize("content", [PLAIN, packed(PLAIN)], ids=["plain", "zstd"])
def test_a_whole_file_is_counted(tmp_path: Path, content: bytes) -> None:
    assert count_records(write(tmp_path / "x", content)) == DbnCount(500)


def test_a_file_without_records_is_whole(tmp_path: Path) -> None:
    assert count_records(write(tmp_path / "x", head())) == DbnCount(0)
    assert count_records(write(tmp_path / "y", packed(head()))) == DbnCount(0)


def test_several_frames_are_one_file(tmp_path: Path) -> None:
    content = packed(head()) + packed(orders(3)) + packed(orders(4))
    assert count_records(write(tmp_path / "x", content)) == DbnCount(7)


def test_records_that_we_could_not_read_are_counted(tmp_path: Path) -> None:
    # An action nobody knows, and a record type nobody knows, of another length.
    odd = bytearray(mbo(1, START_NS))
    odd[38] = ord("?")
    unknown = bytes([6, 0xEE]) + bytes(22)
    content = head() + bytes(odd) + unknown * 3 + orders(2) + unknown
    assert count_records(write(tmp_path / "x", content)) == DbnCount(7)


def test_more_than_a_buffer_is_counted(tmp_path: Path) -> None:
    content = head() + orders(3) + mbo(1, START_NS) * 100_000
    assert count_records(write(tmp_path / "x", content)) == DbnCount(100_003)
    assert count_records(write(tmp_path / "y", packed(content))) == DbnCount(100_003)


@settings(deadline=None, max_examples=60)
@given(data=st.data(), compressed=st.booleans())
def test_every_cut_is_found_or_seen_in_the_count(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, compressed: bool
) -> None:
    content = packed(PLAIN) if compressed else PLAIN
    at = data.draw(st.integers(0, len(content) - 1))
    counted = count_records(write(tmp_path_factory.getbasetemp() / "cut", content[:at]))
    assert counted.fault or counted.records < 500
    if compressed:
        assert counted.fault


def test_damage_is_told_and_what_was_before_it_counted(tmp_path: Path) -> None:
    damaged = count_records(write(tmp_path / "x", packed(PLAIN) + b"and no second frame"))
    assert damaged.records == 500
    assert damaged.fault.startswith("its compression is damaged")
    assert count_records(write(tmp_path / "y", head() + orders(5) + bytes(16))) == DbnCount(
        0, "a record of 0 bytes cannot be"
    )
    assert "must begin as DBN" in count_records(write(tmp_path / "z", b"<html>502 Bad Gateway</html>")).fault


def test_real_files_have_the_records_that_the_official_decoder_finds(real_data: Path) -> None:
    files = sorted((real_data / "databento").rglob("*.dbn.zst"))
    assert len(files) > 10
    for file in files:
        expected = sum(1 for _ in databento.DBNStore.from_file(file))
        assert count_records(file) == DbnCount(expected), file.name
