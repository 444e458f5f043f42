"""A browser's session survives a start, for its own account and its owner's eyes alone."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tapeline_barchart.kept_session import KeptSession

STATE = {"cookies": [{"name": "laravel_session", "value": "SEKRET"}], "origins": []}


def test_what_was_kept_is_found_by_its_owner_alone(tmp_path: Path) -> None:
    kept = KeptSession(tmp_path / "browser", "https://example.com", "trader@example.com")
    assert kept.load() is None
    kept.save(STATE)
    assert kept.load() == STATE
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.path.parent.stat().st_mode) == 0o700
    assert [path.name for path in kept.path.parent.iterdir()] == [kept.path.name]
    assert "trader" not in kept.path.name


def test_another_account_or_site_has_another_session(tmp_path: Path) -> None:
    KeptSession(tmp_path, "https://example.com", "trader@example.com").save(STATE)
    assert KeptSession(tmp_path, "https://example.com", "").load() is None
    assert KeptSession(tmp_path, "https://example.org", "trader@example.com").load() is None


@pytest.mark.parametrize("damaged", [b"", b'{"cookies": [', b"[]", b'{"cookies": 3}', b" " * 5_000_000])
def test_what_is_damaged_is_forgotten(tmp_path: Path, damaged: bytes) -> None:
    kept = KeptSession(tmp_path, "https://example.com", "")
    kept.path.write_bytes(damaged)
    assert kept.load() is None


def test_a_disk_that_takes_nothing_costs_no_session(tmp_path: Path) -> None:
    (tmp_path / "browser").write_text("not a folder")
    KeptSession(tmp_path / "browser", "https://example.com", "").save(STATE)
