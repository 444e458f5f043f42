"""Fetching history: kept, counted, paid once, never taken for whole where it is not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from tests.integration.databento.history import (
    DAYS,
    LAST_DAY,
    PER_DAY,
    User,
    asked,
    blocking,
    query,
    vendor,
)
from tests.integration.simulator.historical import DAY_NS, KEY, MIDNIGHT

from tapeline.errors import Misconfigured, Refused
from tapeline.feed.cache_entry import CacheRequest
from tapeline.feed.cost import OverCap
from tapeline.feed.dbn import open_dbn
from tapeline_databento.errors import CutAnswer, HistoryAway, NotHistory, Unresolved
from tapeline_databento.history.client import HistoryClient
from tapeline_databento.history.query import HistoryQuery, say_time
from tapeline_simulator.databento.history.faults import Framing, HistoryFault
from tapeline_simulator.databento.history.server import HistoryServer

GET_RANGE = "timeseries.get_range"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
COUNT = "metadata.get_record_count"
PRICE = 1_110_000  # micro-dollars per GiB of mbo, by the simulator's list
DAY_COST = -(-PER_DAY * 56 * PRICE // 2**30)
SNAPSHOT_COST = 1


@pytest.fixture
async def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[HistoryServer]:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "tls" / "ca.pem"))
    async with vendor(tmp_path) as server:
        yield server


@pytest.fixture
def user(tmp_path: Path, server: HistoryServer) -> User:
    return User(tmp_path / "user", server)


def records(path: Path) -> int:
    with open_dbn(path) as reader:
        return sum(len(batch) for batch in reader.batches())


async def test_days_are_fetched_once_and_paid_once(server: HistoryServer, user: User) -> None:
    files = await user.fetch(query(DAYS))
    # a snapshot to begin with, then a file per day without the snapshots of its midnights
    assert [records(file.path) for file in files] == [5] + [PER_DAY] * DAYS
    assert [file.entry.records for file in files] == [5] + [PER_DAY] * DAYS
    assert not any(file.hit for file in files)
    assert asked(server, GET_RANGE) == 1 + DAYS
    server.requests.clear()
    again = await user.fetch(query(DAYS))
    assert [file.path for file in again] == [file.path for file in files]
    assert all(file.hit for file in again)
    assert not server.requests  # what is all there needs no vendor
    (usage,) = user.ledger.usages()
    assert (usage.cache_hits, usage.cache_misses, usage.requests) == (4, 4, 4)
    assert usage.schemas["GLBX.MDP3/mbo"].bytes == (5 + DAYS * PER_DAY) * 56
    assert usage.cost_micro_usd == usage.saved_micro_usd == SNAPSHOT_COST + DAYS * DAY_COST


async def test_queries_that_overlap_share_their_days(server: HistoryServer, user: User) -> None:
    await user.fetch(query(1, start_ns=MIDNIGHT + DAY_NS))
    server.requests.clear()
    files = await user.fetch(query(DAYS))
    assert [file.hit for file in files] == [False, False, True, False]
    assert asked(server, GET_RANGE) == 3


async def test_the_estimate_is_the_vendors_and_costs_nothing(server: HistoryServer, user: User) -> None:
    plan = await blocking(user.fetcher.plan, query(DAYS))
    assert plan.estimate.records == 5 + DAYS * PER_DAY
    assert plan.estimate.bytes == plan.estimate.records * 56
    assert plan.estimate.cost_micro_usd == SNAPSHOT_COST + DAYS * DAY_COST
    assert asked(server, GET_RANGE) == 0
    assert user.ledger.usages() == []


async def test_a_day_without_records_is_kept_too(server: HistoryServer, user: User) -> None:
    empty = query(end_ns=MIDNIGHT + DAY_NS, start_ns=MIDNIGHT + DAY_NS - 10**9)
    assert [file.entry.records for file in await user.fetch(empty)] == [0]
    assert [file.hit for file in await user.fetch(empty)] == [True]


# -- answers that are not whole ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.1, 0.9, 0.9999])
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
async def test_a_cut_answer_is_found_and_fetched_again(
    server: HistoryServer, user: User, framing: Framing, share: float
) -> None:
    server.faults.add(HistoryFault("cut", GET_RANGE, framing=framing, share=share))
    (file,) = await user.fetch(query(start_ns=MIDNIGHT + 1, end_ns=MIDNIGHT + DAY_NS))
    assert records(file.path) == PER_DAY
    assert asked(server, GET_RANGE) == 2
    assert len(user.waits_s) == 1
    (usage,) = user.ledger.usages()
    # what came before the cut is billed as well
    assert PER_DAY * 56 <= usage.schemas["GLBX.MDP3/mbo"].bytes < 2 * PER_DAY * 56
    if share == 0.9:
        assert usage.schemas["GLBX.MDP3/mbo"].bytes > 1.5 * PER_DAY * 56


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
async def test_what_is_cut_every_time_is_given_up_with_nothing_left(
    server: HistoryServer, user: User, framing: Framing, tmp_path: Path
) -> None:
    server.faults.add(HistoryFault("cut", GET_RANGE, times=9, framing=framing))
    with pytest.raises(CutAnswer):
        await user.fetch(query())
    assert asked(server, GET_RANGE) == 3
    assert [path for path in (tmp_path / "user" / "cache").rglob("*") if path.is_file()] == []


class _Interrupted(HistoryClient):
    """Gets all records, and the beginning of a part that never came to its end."""

    def download(self, request: CacheRequest, path: Path) -> list[str]:
        warnings = super().download(request, path)
        with path.open("ab") as file:
            file.write(ZSTD_MAGIC)
        return warnings


async def test_an_answer_that_has_all_records_and_no_end_is_not_whole(server: HistoryServer, user: User) -> None:
    user.fetcher._client = _Interrupted(SecretStr(KEY), server.url)
    with pytest.raises(CutAnswer, match="ends within a frame"):
        await user.fetch(query())


async def test_a_count_that_does_not_agree_is_never_accepted(server: HistoryServer, user: User, tmp_path: Path) -> None:
    for difference in (-1, 1):
        server.faults.add(HistoryFault("count", COUNT, times=99, difference=difference))
        with pytest.raises(CutAnswer, match=rf"5 records came of {5 + difference} that the vendor counts"):
            await user.fetch(query())
        server.faults.clear()
    assert [path for path in (tmp_path / "user" / "cache").rglob("*") if path.is_file()] == []


async def test_a_count_that_the_vendor_corrects_is_not_paid_for_twice(server: HistoryServer, user: User) -> None:
    server.faults.add(HistoryFault("count", COUNT, times=1))
    assert [file.entry.records for file in await user.fetch(query())] == [5, PER_DAY]
    assert asked(server, GET_RANGE) == 2


# -- a vendor that is busy, away or refuses ----------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@pytest.mark.parametrize("method", [GET_RANGE, COUNT, "metadata.get_dataset_range"])
async def test_what_may_go_better_is_tried_again(server: HistoryServer, user: User, status: int, method: str) -> None:
    server.faults.add(HistoryFault("refuse", method, status=status, times=2))
    assert [file.entry.records for file in await user.fetch(query())] == [5, PER_DAY]
    assert len(user.waits_s) == 2
    assert all(0 <= wait_s <= 1 for wait_s in user.waits_s)


async def test_a_vendor_that_asks_to_be_left_alone_is(server: HistoryServer, user: User) -> None:
    server.faults.add(HistoryFault("refuse", GET_RANGE, status=429, retry_after_s=7))
    await user.fetch(query())
    assert user.waits_s == [7]
    server.faults.add(HistoryFault("refuse", "metadata.get_cost", status=503, retry_after_s=3_600))
    with pytest.raises(HistoryAway, match="503"):
        await user.fetch(query(1, start_ns=MIDNIGHT + DAY_NS))
    assert user.waits_s == [7]


async def test_a_vendor_that_stays_away_is_told(server: HistoryServer, user: User) -> None:
    server.faults.add(HistoryFault("refuse", "metadata.get_dataset_range", times=99))
    with pytest.raises(HistoryAway, match=r"answers .*503 simulated_fault This was asked to go wrong"):
        await user.fetch(query())
    assert len(user.waits_s) == 4


async def test_a_gateway_that_does_not_answer_is_told(server: HistoryServer, tmp_path: Path) -> None:
    server.url = "https://127.0.0.1:1"
    away = User(tmp_path / "away", server)
    with pytest.raises(HistoryAway, match="does not answer"):
        await away.fetch(query())


async def test_a_certificate_that_is_not_trusted_is_told_with_the_remedy(
    server: HistoryServer, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(Misconfigured, match="REQUESTS_CA_BUNDLE"):
        await user.fetch(query())


async def test_a_wrong_key_is_refused_and_never_told(server: HistoryServer, tmp_path: Path) -> None:
    wrong = "db-" + "w" * 29
    stranger = User(tmp_path / "user", server, key=wrong)
    with pytest.raises(Refused, match="does not accept the API key") as refused:
        await stranger.fetch(query())
    assert stranger.waits_s == []
    assert wrong not in str(refused.value)


async def test_a_key_in_the_vendors_words_is_not_told(server: HistoryServer, user: User) -> None:
    odd = HistoryQuery("GLBX.MDP3", "mbo", (KEY.upper(),), "raw_symbol", MIDNIGHT, MIDNIGHT + 1)
    user.fetcher._client._key = type(user.fetcher._client._key)(KEY.upper())
    with pytest.raises(Unresolved) as refused:
        await user.fetch(odd)
    assert KEY.upper() not in str(refused.value)


async def test_a_dataset_without_licence_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "tls" / "ca.pem"))
    async with vendor(tmp_path, unentitled=("GLBX.MDP3",)) as server:
        with pytest.raises(Refused, match=r"not entitled to GLBX\.MDP3"):
            await User(tmp_path / "user", server).fetch(query())


async def test_symbols_that_mean_nothing_are_refused(server: HistoryServer, user: User) -> None:
    with pytest.raises(Unresolved, match="could be resolved"):
        await user.fetch(HistoryQuery("GLBX.MDP3", "mbo", ("NQQ9",), "raw_symbol", MIDNIGHT, MIDNIGHT + 2 * DAY_NS))
    assert asked(server, GET_RANGE) == 0


async def test_a_symbol_that_means_nothing_beside_others_is_told(
    user: User, capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    await user.fetch(HistoryQuery("GLBX.MDP3", "mbo", ("NQQ9", "NQZ6"), "raw_symbol", MIDNIGHT, MIDNIGHT + 1))
    assert "did not resolve: NQQ9" in capsys.readouterr().out
    assert [str(warning.message) for warning in recwarn if "resolve" in str(warning.message)] == []


# -- what is history ---------------------------------------------------------------------------------------------------


async def test_the_last_day_is_refused_before_anything_is_asked_for(server: HistoryServer, user: User) -> None:
    can_be_had = MIDNIGHT + 4 * DAY_NS  # a day before now
    with pytest.raises(NotHistory) as refused:
        await user.fetch(query(start_ns=MIDNIGHT, end_ns=can_be_had + 10**9))
    told = str(refused.value)
    assert f"Ask for --end {say_time(can_be_had)} or earlier" in told
    assert "live producer replays" in told
    assert refused.value.exit_code == 2
    assert {request.method for request in server.requests} == {"metadata.get_dataset_range"}
    await user.fetch(query(start_ns=can_be_had - 10**9, end_ns=can_be_had))


async def test_what_the_vendor_never_had_is_refused(user: User) -> None:
    with pytest.raises(NotHistory, match=r"begins at 2010-06-06T00:00:00Z.*--start 2010-06-06T00:00:00Z or later"):
        await user.fetch(query(start_ns=10**18, end_ns=10**18 + 1))


async def test_a_range_that_the_vendor_refuses_later_is_told_with_what_can_be_had(
    server: HistoryServer, user: User
) -> None:
    client = user.fetcher._client
    with pytest.raises(NotHistory, match=f"can be had until {say_time(MIDNIGHT + 4 * DAY_NS)}"):
        await blocking(client.estimate, query(start_ns=MIDNIGHT, end_ns=LAST_DAY + 2 * DAY_NS - 1).requests()[-1])


# -- money -------------------------------------------------------------------------------------------------------------


async def test_above_the_cap_nothing_is_fetched(server: HistoryServer, tmp_path: Path) -> None:
    cost = SNAPSHOT_COST + DAYS * DAY_COST
    poor = User(tmp_path / "user", server, cap=cost - 1)
    with pytest.raises(OverCap, match=r"estimate is \$0\.000697 for 12,005 records.*--cap-usd"):
        await poor.fetch(query(DAYS))
    assert asked(server, GET_RANGE) == 0
    assert poor.ledger.usages() == []
    assert len(await User(tmp_path / "user", server, cap=cost).fetch(query(DAYS))) == 1 + DAYS


async def test_the_months_budget_counts_what_is_spent(server: HistoryServer, tmp_path: Path) -> None:
    careful = User(tmp_path / "user", server, budget=SNAPSHOT_COST + 2 * DAY_COST)
    await careful.fetch(query(2))
    with pytest.raises(OverCap, match=r"budget of the month.*are spent.*MONTHLY_BUDGET_USD"):
        await careful.fetch(query(DAYS))
    assert all(file.hit for file in await careful.fetch(query(2)))  # what is there is free


async def test_what_is_paid_for_cut_answers_counts_before_the_next_attempt(
    server: HistoryServer, tmp_path: Path
) -> None:
    careful = User(tmp_path / "user", server, budget=DAY_COST + DAY_COST // 2)
    server.faults.add(HistoryFault("cut", GET_RANGE, times=9, framing="close", share=0.9))
    with pytest.raises(OverCap):
        await careful.fetch(query(start_ns=MIDNIGHT + 1, end_ns=MIDNIGHT + DAY_NS))
    assert asked(server, GET_RANGE) == 1


async def test_a_damaged_file_is_fetched_again(server: HistoryServer, user: User) -> None:
    files = await user.fetch(query())
    damaged = bytearray(files[1].path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    files[1].path.write_bytes(damaged)
    again = await user.fetch(query())
    assert [file.hit for file in again] == [True, False]
    assert records(again[1].path) == PER_DAY
