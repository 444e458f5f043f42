"""What is kept is there after a new start, as it was, or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.barchart.answers import FETCHED_NS, SERIES, good, kept

from tapeline.errors import Misconfigured
from tapeline.feed.barchart.page import ListedSeries
from tapeline_barchart.kept import KeptChains, KeptList

NAME = SERIES.vendor_series
CHAIN = kept(good())
LIST = KeptList(FETCHED_NS, (ListedSeries(SERIES, "/futures/quotes/NQM25/options/MC2M25"),))


def test_chains_and_lists_come_back_as_they_were(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "kept"
    assert KeptChains(folder).get(NAME) is None
    assert KeptChains(folder).get_list("NQ") is None
    KeptChains(folder).put(CHAIN)
    KeptChains(folder).put_list("NQ", LIST)
    assert KeptChains(folder).get(NAME) == CHAIN
    assert KeptChains(folder).get_list("NQ") == LIST
    assert KeptChains(folder).get("MQ2M25") is None
    without_price = replace(CHAIN, underlying_price=None, fetched_at=FETCHED_NS + 1, form="on-demand")
    KeptChains(folder).put(without_price)
    assert KeptChains(folder).get(NAME) == without_price, "the last one replaces the one before"


@pytest.mark.parametrize("damage", ["payload", "head", "cut", "schema", "empty", "other"])
def test_what_is_damaged_is_set_aside_and_is_not_there(tmp_path: Path, damage: str) -> None:
    chains, path = KeptChains(tmp_path), tmp_path / f"{NAME}.chain"
    chains.put(CHAIN)
    value = path.read_bytes()
    path.write_bytes(
        {
            "payload": value.replace(b"49.00", b"48.00", 1),
            "head": value[5:],
            "cut": value[:-20],
            "schema": value.replace(b"kept-chain.v1", b"kept-chain.v0"),
            "empty": b"",
            "other": value.replace(b"MC2M25", b"MC3M25", 1),
        }[damage]
    )
    assert chains.get(NAME) is None
    assert not path.exists()
    assert (tmp_path / "corrupt" / path.name).exists()
    chains.put(CHAIN)
    assert chains.get(NAME) == CHAIN


def test_a_damaged_list_is_set_aside_too(tmp_path: Path) -> None:
    KeptChains(tmp_path).put_list("NQ", LIST)
    (tmp_path / "NQ.list").write_bytes(b'{"schema":"kept-list.v1","read_at":"7","listed":[{}]}')
    assert KeptChains(tmp_path).get_list("NQ") is None
    assert (tmp_path / "corrupt" / "NQ.list").exists()


def test_series_that_expired_long_ago_are_forgotten(tmp_path: Path) -> None:
    KeptChains(tmp_path).put(CHAIN)
    KeptChains(tmp_path).forget_expired(SERIES.expiry)
    assert KeptChains(tmp_path).get(NAME) == CHAIN
    KeptChains(tmp_path).forget_expired(SERIES.expiry + 1)
    assert KeptChains(tmp_path).get(NAME) is None


def test_a_folder_that_cannot_be_used_is_the_user_s_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Misconfigured, match="TAPELINE_BARCHART_KEPT_FOLDER"):
        KeptChains(tmp_path / "file").put(CHAIN)
