"""What is made of a handshake and of a sample of live data."""

from __future__ import annotations

import numpy as np
import pytest

from tapeline.errors import Refused
from tapeline.feed.source import Pair
from tapeline_databento.doctor.live import data_check, handshake_checks, is_about_dataset, symbols_check
from tapeline_databento.doctor.sample import LINE, LiveSample
from tapeline_databento.errors import Disconnected, GatewayAway, GatewayError, KeyRefused
from tapeline_databento.plan import LinePlan
from tapeline_databento.subscriptions import parse_subscriptions

MBO: Pair = ("GLBX.MDP3/NQ.FUT", "mbo")
QUOTES: Pair = ("GLBX.MDP3/NQ.OPT", "l1")
STATUS: Pair = ("GLBX.MDP3/NQ.FUT", "status")


def sample(text: str = "mbo=NQ.FUT; mbp-1=NQ.OPT; status=NQ.FUT", **ticks: int) -> LiveSample:
    """A sample of so many ticks per kind, each 2 ms old on arrival."""
    plan = LinePlan(LINE, "GLBX.MDP3", parse_subscriptions(text))
    found = LiveSample(plan, seconds=5.0, messages=3, instruments=dict.fromkeys({MBO[0], QUOTES[0]}, 4))
    for pair in (MBO, QUOTES, STATUS):
        count = ticks.get(pair[1], 0)
        if count:
            found.ticks[pair] = count
            found.latencies_ns[pair] = [np.full(count, 2_000_000, dtype=np.int64)]
    return found


# -- handshake -----------------------------------------------------------------------------------------------------


def test_a_handshake_that_works_is_green_twice() -> None:
    assert [check.status for check in handshake_checks("GLBX.MDP3", "gate", None)] == ["ok", "ok"]


@pytest.mark.parametrize(
    ("error", "statuses", "remedy"),
    [
        (Refused("x: the gateway refuses: Authentication failed; check the key in T and, at d, what it is entitled to"),
         ["red", "skipped"], "create a new one there"),
        (Refused("x: the gateway refuses: User or API key deactivated; check the key in T"),
         ["red", "skipped"], "create a new one there"),
        (Refused("x: the gateway refuses: A live data license is required to access GLBX.MDP3.; check the key in T"),
         ["ok", "red"], "subscribe to the dataset"),
        (Refused("x: the gateway refuses: Not entitled; check the key"), ["ok", "red"], "subscribe to the dataset"),
        (GatewayAway("x: host:13000 cannot be reached"), ["red", "skipped"], "firewall"),
        (GatewayError("x: the gateway refuses for now: open connection limit"), ["red", "skipped"], "other sessions"),
    ],
)  # fmt: skip
def test_a_refusal_is_about_the_key_the_dataset_or_the_way_there(
    error: Refused, statuses: list[str], remedy: str
) -> None:
    checks = handshake_checks("GLBX.MDP3", "gate", error)
    assert [check.name for check in checks] == ["live-authentication", "live-entitlement"]
    assert [check.status for check in checks] == statuses
    red = next(check for check in checks if check.status == "red")
    assert red.remedy is not None
    assert remedy in red.remedy


def test_our_own_words_do_not_count_as_the_gateways() -> None:
    assert not is_about_dataset("Authentication failed; check the key and what it is entitled to", "GLBX.MDP3")
    assert is_about_dataset("no GLBX.MDP3 for you; check the key", "GLBX.MDP3")


# -- symbols -------------------------------------------------------------------------------------------------------


def test_unresolved_symbols_are_red_and_named() -> None:
    found = sample("mbo=NQ.FUT; mbp-1=NQX9,NQ.OPT")
    assert symbols_check(found).status == "ok"
    found.unresolved = ["Failed to resolve symbol NQX9", "Failed to resolve symbol NQX9"]
    check = symbols_check(found)
    assert (check.status, check.detail) == ("red", "not resolved: NQX9 (Failed to resolve symbol NQX9)")
    assert check.remedy is not None
    assert "TAPELINE_DATABENTO_SUBSCRIPTIONS" in check.remedy


def test_a_longer_symbol_is_not_taken_for_a_shorter_one() -> None:
    found = sample("mbo=NQ.FUT; mbp-1=NQZ6; trades=MNQ.FUT")
    found.unresolved = ["Failed to resolve symbol MNQ.FUT, NQZ66 and NQ.FUTURES."]
    assert symbols_check(found).detail.startswith("not resolved: MNQ.FUT (")


def test_what_the_gateway_has_not_named_yet_is_a_warning() -> None:
    found = sample()
    found.instruments[QUOTES[0]] = 0
    check = symbols_check(found)
    assert check.status == "warning"
    assert "none of GLBX.MDP3/NQ.OPT" in check.detail


# -- data ----------------------------------------------------------------------------------------------------------


def test_ticks_and_latencies_are_told_per_stream_and_kind() -> None:
    found = sample(mbo=1_200, l1=3)
    found.snapshot_ticks[MBO] = 13_600
    check = data_check(found, is_open=True)
    assert check.status == "ok"
    assert check.detail == (
        "in 5.0 s; mbo of GLBX.MDP3/NQ.FUT: 1,200 ticks and 13,600 of snapshots, latency p50 2.0 ms, p99 2.0 ms;"
        " l1 of GLBX.MDP3/NQ.OPT: 3 ticks, latency p50 2.0 ms, p99 2.0 ms"
    )


@pytest.mark.parametrize(
    ("ticks", "is_open", "status"),
    [
        ({}, True, "red"),
        ({}, False, "ok"),
        ({"status": 2}, True, "red"),
        ({"status": 2}, False, "ok"),
        ({"mbo": 5}, True, "warning"),
        ({"mbo": 5}, False, "ok"),
        ({"mbo": 5, "l1": 1}, True, "ok"),
    ],
)
def test_no_data_is_a_fault_of_an_open_market_only(ticks: dict[str, int], is_open: bool, status: str) -> None:
    check = data_check(sample(**ticks), is_open=is_open)
    assert check.status == status
    assert (check.remedy is None) == (status == "ok")
    assert check.remedy is None or "--seconds 30" in check.remedy


def test_a_snapshot_is_no_proof_of_an_open_market() -> None:
    found = sample("mbo=NQ.FUT")
    found.snapshot_ticks[MBO] = 100
    found.latencies_ns[MBO] = [np.empty(0, dtype=np.int64)]
    assert data_check(found, is_open=True).status == "red"
    assert data_check(found, is_open=False).status == "ok"


def test_where_no_quotes_are_subscribed_to_silence_is_a_warning() -> None:
    assert data_check(sample("status=NQ.FUT"), is_open=True).status == "warning"


def test_a_gateway_that_says_nothing_at_all_is_red_even_while_the_market_is_closed() -> None:
    found = sample()
    found.messages = 0
    check = data_check(found, is_open=False)
    assert check.status == "red"
    assert "not even an acknowledgement" in check.detail


@pytest.mark.parametrize(
    ("fault", "remedy"),
    [
        (Disconnected("doctor: the gateway closed the connection"), "incident"),
        (GatewayError("doctor: the gateway says: Internal error (error 6)"), "other sessions"),
        (KeyRefused("doctor: the gateway says: User or API key deactivated"), "create a new one"),
        (Refused("doctor: the gateway says: Invalid subscription"), "TAPELINE_DATABENTO_SUBSCRIPTIONS"),
    ],
)
@pytest.mark.parametrize("is_open", [True, False])
def test_a_session_that_ends_is_red_with_a_remedy_for_its_reason(fault: Refused, remedy: str, is_open: bool) -> None:
    found = sample(mbo=5)
    found.fault = fault
    check = data_check(found, is_open=is_open)
    assert check.status == "red"
    assert str(fault) in check.detail
    assert check.remedy is not None
    assert remedy in check.remedy


def test_complaints_of_the_gateway_are_told() -> None:
    found = sample(mbo=5, l1=5)
    found.complaints = ["Slow client detected for mbp-1", "Slow client detected for mbp-1"]
    check = data_check(found, is_open=True)
    assert check.status == "warning"
    assert check.detail.count("Slow client detected") == 1
