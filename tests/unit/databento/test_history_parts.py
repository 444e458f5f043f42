"""The small parts of fetching: trying again, prices of the day, names of files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tapeline.errors import Refused, Retryable
from tapeline.feed.cache_entry import CacheRequest
from tapeline.feed.prices import UnitPrices
from tapeline_databento.errors import HistoryAway
from tapeline_databento.history.files import file_name, put
from tapeline_databento.history.prices import HOLD_NS, daily_prices
from tapeline_databento.history.query import DAY_NS, history_query
from tapeline_databento.history.retry import LONGEST_WAIT_S, retrying


class Flaky:
    """Fails with each of `errors` in turn, then returns."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.waits_s: list[float] = []

    def __call__(self) -> str:
        if self.errors:
            raise self.errors.pop(0)
        return "done"

    def retried(self, attempts: int = 3) -> str:
        return retrying(self, self.waits_s.append, lambda: 0.5, attempts)


def test_what_may_go_better_is_tried_again_after_a_growing_wait() -> None:
    flaky = Flaky(Retryable("away"), Retryable("away"))
    assert flaky.retried() == "done"
    assert flaky.waits_s == [0.25, 0.5]


def test_the_last_attempts_error_is_told() -> None:
    flaky = Flaky(Retryable("first"), Retryable("second"), Retryable("third"))
    with pytest.raises(Retryable, match="third"):
        flaky.retried()
    assert len(flaky.waits_s) == 2


def test_a_wait_is_never_shorter_than_the_vendor_asks_for() -> None:
    flaky = Flaky(HistoryAway("busy", retry_after_s=9.0), HistoryAway("busy", retry_after_s=0.1))
    assert flaky.retried() == "done"
    assert flaky.waits_s == [9.0, 0.5]


@pytest.mark.parametrize("error", [Refused("no"), HistoryAway("come back tomorrow", LONGEST_WAIT_S + 1)])
def test_what_no_retry_mends_is_told_at_once(error: Exception) -> None:
    flaky = Flaky(error)
    with pytest.raises(type(error)):
        flaky.retried()
    assert flaky.waits_s == []


def test_prices_are_asked_for_once_a_day(tmp_path: Path) -> None:
    asked: list[str] = []

    def ask(dataset: str) -> UnitPrices:
        asked.append(dataset)
        return UnitPrices({"live": {"mbo": len(asked)}})

    folder = tmp_path / "prices"
    assert daily_prices(folder, "A.B", ask, 10).price("live", "mbo") == 1
    assert daily_prices(folder, "A.B", ask, 10 + HOLD_NS - 1).price("live", "mbo") == 1
    assert daily_prices(folder, "C.D", ask, 10).price("live", "mbo") == 2
    assert daily_prices(folder, "A.B", ask, 10 + HOLD_NS).price("live", "mbo") == 3
    assert daily_prices(folder, "A.B", ask, 0).price("live", "mbo") == 4  # the clock was set back
    (folder / "A.B.json").write_bytes(b"{")
    assert daily_prices(folder, "A.B", ask, 0).price("live", "mbo") == 5


def requests(symbols: str, schema: str = "mbo") -> list[CacheRequest]:
    return history_query("GLBX.MDP3", schema, symbols, "2026-01-05", "2026-01-07").requests()


def test_the_files_of_a_query_share_what_names_their_stream() -> None:
    names = [file_name(request) for request in requests("NQ.FUT,ES.FUT")]
    assert names == [
        "ES-FUT+NQ-FUT-mbo.20260105T000000-20260105T000000.snapshot.dbn.zst",
        "ES-FUT+NQ-FUT-mbo.20260105T000000-20260106T000000.dbn.zst",
        "ES-FUT+NQ-FUT-mbo.20260106T000000-20260107T000000.dbn.zst",
    ]


def test_a_name_is_a_name_whatever_the_symbols() -> None:
    (name, *_) = [file_name(each) for each in requests(",".join(f"E1A{n} C/5125" for n in range(90)), "trades")]
    assert "/" not in name
    assert name.count(".") == 3
    assert len(name) < 150
    assert "+90-trades." in name


def test_a_file_is_put_where_it_is_wanted_and_replaces_what_was_there(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"new")
    folder = tmp_path / "a" / "b"
    for _ in range(2):
        path = put(source, folder, "name")
        assert path.read_bytes() == b"new"
    assert os.path.samefile(path, source)
    assert [each.name for each in folder.iterdir()] == ["name"]
    source.unlink()
    assert path.read_bytes() == b"new"  # what leaves the cache stays there


def test_a_file_is_copied_where_it_cannot_be_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def elsewhere(source: Path, target: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", elsewhere)
    (tmp_path / "source").write_bytes(b"content")
    assert put(tmp_path / "source", tmp_path, "copy").read_bytes() == b"content"


def test_a_day_is_of_utc() -> None:
    assert requests("NQZ6", "trades")[0].end_ns % DAY_NS == 0
