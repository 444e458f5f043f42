"""The doctor against a whole vendor: every fault is found, told apart from the others, and has its remedy."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import databento_dbn as dbn
import orjson
import pytest
from tests.integration.databento.clinic import CLOSED_NS, DATASET, DEADLINE_S, KEY, Clinic, clinic
from tests.integration.databento.scripted_gateway import KEY as SCRIPTED_KEY
from tests.integration.databento.scripted_gateway import Conversation, ScriptedGateway, error, head, wait_for_end

from tapeline.bus.topics import apply_topics, load_topics
from tapeline.feed.cache_settings import open_ledger
from tapeline.feed.doctor import Check
from tapeline.model.usage import SchemaUse
from tapeline_simulator.databento.history.faults import HistoryFault

TAPELINE = Path(sys.executable).with_name("tapeline")
NAMES = [
    "key",
    "authentication",
    "entitlement",
    "dataset-range",
    "dataset-condition",
    "market",
    "live-authentication",
    "live-entitlement",
    "symbols",
    "live-data",
    "pressure",
    "clock",
    "cost",
    "kafka",
]
OF_ACCOUNT, OF_SAMPLE = NAMES[1:5], ["symbols", "live-data", "pressure", "clock"]


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "tls" / "ca.pem"))
    monkeypatch.setenv("TAPELINE_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")


@pytest.fixture
async def vendor(tmp_path: Path) -> AsyncIterator[Clinic]:
    async with clinic(tmp_path) as rig:
        yield rig


@pytest.fixture
async def trading(vendor: Clinic) -> Clinic:
    vendor.open_market()
    return vendor


def statuses(found: dict[str, Check], names: list[str]) -> list[str]:
    return [found[name].status for name in names]


def red(check: Check, remedy: str) -> str:
    """Return the detail of a check that is red and has a remedy."""
    assert check.status == "red", check
    assert check.remedy is not None
    assert remedy in check.remedy
    return check.detail


async def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, "the condition never held"
        await asyncio.sleep(0.01)


# -- all is well -----------------------------------------------------------------------------------------------------


async def test_a_feed_that_is_alright_is_green_from_key_to_pressure(trading: Clinic) -> None:
    found = await trading.examine(seconds=3.0, subscriptions="mbo=NQ.FUT; status=NQ.FUT; definition=NQ.FUT")
    assert list(found) == NAMES
    assert statuses(found, NAMES[:-1]) == ["ok"] * (len(NAMES) - 1), found
    assert "with mbo, status, definition" in found["entitlement"].detail
    assert "open until Mon 2026-11-16 22:00 UTC" in found["market"].detail
    assert "until 2026-11-15T15:00:" in found["dataset-range"].detail
    assert found["symbols"].detail == "2 instruments of NQ.FUT"
    assert "mbo of GLBX.MDP3/NQ.FUT: " in found["live-data"].detail
    assert "of snapshots, latency p50 " in found["live-data"].detail
    assert "NQZ6 (mbo of GLBX.MDP3/NQ.FUT), last of " in found["pressure"].detail
    assert "windows of 1,000 ms: order_flow_imbalance " in found["pressure"].detail
    assert "for a whole month at the rate measured now and list prices" in found["cost"].detail


async def test_without_live_the_gateway_is_not_asked(vendor: Clinic) -> None:
    found = await vendor.examine(live=False)
    assert list(found) == NAMES
    assert statuses(found, OF_ACCOUNT) == ["ok"] * 4
    for name in ("live-authentication", "live-entitlement", *OF_SAMPLE):
        assert found[name].status == "skipped"
        assert "--live" in found[name].detail
    assert vendor.gateway.sessions == []


async def test_nothing_costs_anything(trading: Clinic) -> None:
    await trading.examine()
    assert {request.method.partition(".")[0] for request in trading.history.requests} == {"metadata"}


async def test_sessions_are_left_as_soon_as_they_are_done_with(trading: Clinic) -> None:
    await trading.examine(subscriptions="mbo=NQ.FUT; definition=NQ.FUT")
    await until(lambda: not any(session.is_open for session in trading.gateway.sessions))
    handshake, sampled = trading.gateway.sessions
    assert handshake.subscriptions == []
    # a week of definitions is not asked for
    asked = [(each.schema, each.start_ns, each.snapshot) for each in sampled.subscriptions]
    assert asked == [("mbo", None, True), ("definition", None, False)]


# -- key and account -------------------------------------------------------------------------------------------------


async def test_without_a_key_nobody_is_asked_and_all_else_is_examined(vendor: Clinic) -> None:
    found = await vendor.examine(api_key="")
    assert list(found) == NAMES
    assert "no API key" in red(found["key"], "TAPELINE_DATABENTO_API_KEY_FILE")
    for name in (*OF_ACCOUNT, "live-authentication", "live-entitlement", *OF_SAMPLE):
        assert (found[name].status, found[name].detail) == ("skipped", "there is no key to ask with")
    assert statuses(found, ["market", "cost", "kafka"]) == ["ok", "ok", "red"]
    assert not vendor.history.requests
    assert not vendor.gateway.sessions


async def test_a_key_that_the_vendor_does_not_know_is_red_at_both_doors(vendor: Clinic) -> None:
    found = await vendor.examine(api_key="db-" + "w" * 29)
    assert found["key"].status == "ok"
    assert red(found["authentication"], "create a new one") == "the Historical API does not accept the key"
    assert "Authentication failed" in red(found["live-authentication"], "create a new one")
    assert statuses(found, OF_ACCOUNT[1:]) == ["skipped"] * 3
    assert statuses(found, ["live-entitlement", *OF_SAMPLE]) == ["skipped"] * 5


async def test_a_key_of_another_form_is_still_tried(vendor: Clinic) -> None:
    found = await vendor.examine(live=False, api_key="x" * 31)
    assert found["key"].status == "warning"
    assert found["authentication"].status == "red"


@pytest.mark.parametrize("status", [429, 503])
async def test_an_api_that_is_out_of_order_does_not_keep_the_gateway_from_being_examined(
    trading: Clinic, status: int
) -> None:
    trading.history.faults.add(HistoryFault("refuse", "metadata.list_datasets", status=status))
    found = await trading.examine()
    assert str(status) in red(found["authentication"], "incident")
    assert statuses(found, OF_ACCOUNT[1:]) == ["skipped"] * 3
    assert statuses(found, ["live-authentication", "live-data", "clock"]) == ["ok"] * 3


async def test_an_api_that_does_not_answer_is_given_up(vendor: Clinic) -> None:
    vendor.history.faults.add(HistoryFault("hang", "metadata.list_datasets"))
    found = await vendor.examine(live=False, timeout_s=1)
    assert "does not answer" in red(found["authentication"], "firewall")


async def test_an_answer_in_drips_is_given_up_too(vendor: Clinic) -> None:
    vendor.history.faults.add(HistoryFault("slow", "metadata.list_datasets", bytes_per_s=2))
    found = await vendor.examine(live=False, timeout_s=1)
    assert "not finished its answer within 2 s" in red(found["authentication"], "firewall")


async def test_an_api_that_is_not_there_is_red(vendor: Clinic) -> None:
    found = await vendor.examine(live=False, history_gateway="https://127.0.0.1:1")
    assert "does not answer" in red(found["authentication"], "TAPELINE_DATABENTO_HISTORY_GATEWAY")


async def test_an_address_that_is_none_is_red(vendor: Clinic) -> None:
    found = await vendor.examine(live=False, history_gateway="not an address")
    assert "address" in red(found["authentication"], "TAPELINE_DATABENTO_HISTORY_GATEWAY")
    assert statuses(found, OF_ACCOUNT[1:]) == ["skipped"] * 3


async def test_a_certificate_that_is_not_trusted_is_red(vendor: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    found = await vendor.examine(live=False)
    assert "REQUESTS_CA_BUNDLE" in red(found["authentication"], "what is named there")


@pytest.mark.parametrize(
    ("method", "name", "others"),
    [
        ("metadata.list_schemas", "entitlement", ["dataset-range", "dataset-condition"]),
        ("metadata.get_dataset_condition", "dataset-condition", ["entitlement", "dataset-range"]),
    ],
)
async def test_one_answer_that_fails_leaves_the_others(
    vendor: Clinic, method: str, name: str, others: list[str]
) -> None:
    vendor.history.faults.add(HistoryFault("refuse", method, status=500))
    found = await vendor.examine(live=False)
    assert "500" in red(found[name], "try again")
    assert statuses(found, others) == ["ok", "ok"]


async def test_where_the_range_fails_the_condition_is_not_asked_for(vendor: Clinic) -> None:
    vendor.history.faults.add(HistoryFault("refuse", "metadata.get_dataset_range", status=500))
    found = await vendor.examine(live=False)
    red(found["dataset-range"], "try again")
    assert statuses(found, ["entitlement", "dataset-condition"]) == ["ok", "skipped"]


# -- entitlement, range, condition -----------------------------------------------------------------------------------


async def test_a_dataset_that_is_not_there_is_red_and_those_that_are_are_named(vendor: Clinic) -> None:
    found = await vendor.examine(dataset="XNAS.ITCH")
    assert "not shown XNAS.ITCH, but GLBX.MDP3" in red(found["entitlement"], "subscribe to the dataset")
    assert statuses(found, ["dataset-range", "dataset-condition"]) == ["skipped"] * 2
    assert "required to access XNAS.ITCH" in red(found["live-entitlement"], "subscribe to the dataset")
    assert found["live-authentication"].status == "ok"


async def test_a_dataset_without_licence_is_red(vendor: Clinic) -> None:
    vendor.unentitled.add(DATASET)
    found = await vendor.examine(live=False)
    assert "not entitled to GLBX.MDP3" in red(found["entitlement"], "licence signed")
    red(found["dataset-range"], "licence signed")


async def test_a_schema_that_the_dataset_has_not_is_red_and_named(vendor: Clinic) -> None:
    found = await vendor.examine(live=False, subscriptions="mbo=NQ.FUT; bbo-1m=ES.FUT")
    assert "GLBX.MDP3 has no bbo-1m" in red(found["entitlement"], "TAPELINE_DATABENTO_SUBSCRIPTIONS")
    assert found["dataset-range"].status == "ok"


async def test_degraded_and_missing_days_of_the_last_week_are_a_warning(vendor: Clinic) -> None:
    vendor.conditions[date(2026, 11, 13)] = "degraded"
    vendor.conditions[date(2026, 11, 10)] = "missing"
    vendor.conditions[date(2026, 11, 1)] = "missing"
    check = (await vendor.examine(live=False))["dataset-condition"]
    assert check.status == "warning"
    assert check.detail == "GLBX.MDP3, 2026-11-09 to 2026-11-15: 2026-11-10 missing, 2026-11-13 degraded"
    assert check.remedy is not None


@pytest.mark.parametrize(
    ("fault", "told", "remedy", "names"),
    [
        ("auth-failure", "Authentication failed", "create a new one", ["red", "skipped"]),
        ("revoked-key", "deactivated", "create a new one", ["red", "skipped"]),
        ("unentitled", "license is required to access GLBX.MDP3", "subscribe to the dataset", ["ok", "red"]),
        ("connection-limit", "connection limit", "end other sessions", ["red", "skipped"]),
        ("refuse", "closed the connection", "firewall", ["red", "skipped"]),
    ],
)
async def test_what_the_gateway_refuses_is_told_apart(
    vendor: Clinic, fault: str, told: str, remedy: str, names: list[str]
) -> None:
    vendor.gateway.faults.start(fault, seconds=DEADLINE_S)
    found = await vendor.examine()
    doors = ["live-authentication", "live-entitlement"]
    assert statuses(found, doors) == names
    assert told in red(found[doors[names.index("red")]], remedy)
    assert statuses(found, OF_SAMPLE) == ["skipped"] * 4
    assert statuses(found, OF_ACCOUNT) == ["ok"] * 4


async def test_a_gateway_that_is_not_there_or_does_not_greet_is_red(vendor: Clinic) -> None:
    found = await vendor.examine(port=1)
    assert "cannot be reached" in red(found["live-authentication"], "TAPELINE_DATABENTO_PORT")
    vendor.gateway.faults.start("black-hole", seconds=DEADLINE_S, stage="connection")
    found = await vendor.examine(timeout_s=1)
    assert "did not authenticate within 1 s" in red(found["live-authentication"], "TAPELINE_DATABENTO_PORT")


# -- live data, clock ------------------------------------------------------------------------------------------------


async def test_a_symbol_that_means_nothing_is_red_and_named_and_the_others_go_on(trading: Clinic) -> None:
    found = await trading.examine(seconds=1.0, subscriptions="mbo=NQ.FUT; trades=NQH9,NQZ6")
    assert red(found["symbols"], "TAPELINE_DATABENTO_SUBSCRIPTIONS").startswith("not resolved: NQH9 (")
    assert found["live-data"].status == "ok"


async def test_an_open_market_without_orders_is_red(vendor: Clinic) -> None:
    found = await vendor.examine()
    assert "of snapshots" in red(found["live-data"], "--seconds 30")
    assert found["pressure"].status == "skipped"
    assert found["clock"].status == "ok"


async def test_a_closed_market_without_orders_is_not(tmp_path: Path) -> None:
    async with clinic(tmp_path, at_ns=CLOSED_NS) as rig:
        found = await rig.examine()
    assert "closed (weekend) until Sun 2026-11-15 23:00 UTC" in found["market"].detail
    assert statuses(found, ["market", "symbols", "live-data", "clock"]) == ["ok"] * 4
    assert found["pressure"].status == "skipped"


async def test_a_subscription_that_is_silent_beside_others_is_a_warning(trading: Clinic) -> None:
    trading.gateway.faults.start("stall", schema="mbo", seconds=DEADLINE_S)
    found = await trading.examine(seconds=2.0, subscriptions="mbo=NQ.FUT; mbp-1=NQZ6")
    check = found["live-data"]
    assert check.status == "warning", check
    assert "no mbo of GLBX.MDP3/NQ.FUT" in check.detail
    assert check.remedy is not None


async def test_a_gateway_that_takes_subscriptions_and_says_nothing_is_red(trading: Clinic) -> None:
    trading.gateway.faults.start("black-hole", seconds=DEADLINE_S)
    found = await trading.examine()
    assert "not even an acknowledgement" in red(found["live-data"], "TAPELINE_DATABENTO_GATEWAY")
    assert found["symbols"].status == "warning"
    assert found["clock"].status == "skipped"


@pytest.mark.parametrize(
    ("fault", "parameters", "told", "remedy"),
    [
        ("fin", {}, "closed the connection", "incident"),
        ("rst", {}, "connection was lost", "incident"),
        ("error", {"code": 6}, "Internal error", "end other sessions"),
        ("error", {"code": 5}, "Invalid subscription", "TAPELINE_DATABENTO_SUBSCRIPTIONS"),
        ("revoked-key", {"seconds": 1.0}, "deactivated", "create a new one"),
    ],
)
async def test_a_session_that_breaks_is_red(
    trading: Clinic, fault: str, parameters: dict[str, Any], told: str, remedy: str
) -> None:
    examining = asyncio.create_task(trading.examine(seconds=DEADLINE_S / 2))
    await until(lambda: any(session.state == "streaming" for session in trading.gateway.sessions))
    trading.gateway.faults.start(fault, **parameters)
    assert told in red((await examining)["live-data"], remedy)


@pytest.mark.parametrize(
    ("skew_s", "status", "told"),
    [(0.0, "ok", "within"), (-0.5, "warning", "behind"), (5.0, "red", "ahead of"), (-3600.0, "red", "behind")],
)
async def test_the_clock_is_held_to_the_vendors(trading: Clinic, skew_s: float, status: str, told: str) -> None:
    trading.skew_s = skew_s
    check = (await trading.examine())["clock"]
    assert check.status == status
    assert told in check.detail
    assert check.remedy is None or "NTP" in check.remedy


# -- money, Kafka ----------------------------------------------------------------------------------------------------


async def test_more_history_than_the_budget_allows_is_a_warning(vendor: Clinic) -> None:
    use = SchemaUse(1_000, 10**6, 10 * 10**6)
    open_ledger().add("databento", "metered", "2026-11-02", requests=1, uses={"GLBX.MDP3/mbo": use})
    settings = {"flat_usd": 179, "licence_usd": "12.5"}
    # ten dollars in sixteen days are 18.75 in thirty
    check = (await vendor.examine(live=False, monthly_budget_usd="18.75", **settings))["cost"]
    assert check.status == "ok"
    assert "$210.25 expected = $179.00 flat + $12.50 licence + $18.75 metered ($10.00 so far" in check.detail
    check = (await vendor.examine(live=False, monthly_budget_usd="18.74", **settings))["cost"]
    assert check.status == "warning"
    assert check.remedy is not None
    assert "TAPELINE_DATABENTO_MONTHLY_BUDGET_USD" in check.remedy


async def test_an_account_that_cannot_be_read_is_red(vendor: Clinic, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "usage.sqlite3").write_bytes(b"no database at all, but long enough to be looked at" * 40)
    check = (await vendor.examine(live=False))["cost"]
    assert "usage.sqlite3" in red(check, "mend")


@pytest.mark.usefixtures("namespace")
async def test_topics_are_red_until_they_are_made(
    vendor: Clinic, bootstrap_servers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", bootstrap_servers)
    check = (await vendor.examine(live=False))["kafka"]
    assert "md.ticks.databento.v1" in red(check, "tapeline topics apply")
    written = [topic for topic in load_topics().values() if "tapeline-databento" in topic.writers]
    apply_topics(bootstrap_servers, written)
    check = (await vendor.examine(live=False))["kafka"]
    assert (check.status, check.remedy) == ("ok", None)
    assert f"{len(written)} topics are as declared" in check.detail


# -- the key is nowhere ----------------------------------------------------------------------------------------------


async def test_a_key_that_the_gateway_repeats_is_not_told(vendor: Clinic) -> None:
    async def refuse(conversation: Conversation) -> None:
        await conversation.send(b"lsg_version=0.9.4\ncram=challenge\n")
        await conversation.line()
        await conversation.send(f"success=0|error=no such key: {SCRIPTED_KEY}\n".encode())

    async def complain(conversation: Conversation) -> None:
        await conversation.begin()
        await conversation.send(error(f"Failed to resolve {SCRIPTED_KEY}", dbn.ErrorCode.SYMBOL_RESOLUTION_FAILED))
        await conversation.send(error(f"Skipped for {SCRIPTED_KEY}", dbn.ErrorCode.SKIPPED_RECORDS_AFTER_SLOW_READING))
        await conversation.send(error(f"Stopped {SCRIPTED_KEY}", dbn.ErrorCode.INTERNAL_ERROR))
        await wait_for_end(conversation)

    async with ScriptedGateway(wait_for_end, greets=refuse) as gateway:
        found = await vendor.examine(api_key=SCRIPTED_KEY, port=gateway.port)
        assert "no such key: …" in red(found["live-authentication"], "create a new one")
    async with ScriptedGateway(complain) as gateway:
        found = await vendor.examine(api_key=SCRIPTED_KEY, port=gateway.port)
        assert "Failed to resolve …" in red(found["symbols"], "TAPELINE_DATABENTO_SUBSCRIPTIONS")
        assert "Stopped …" in red(found["live-data"], "end other sessions")
    assert head()  # what the scripts above begin with


# -- as a user runs it -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


async def run(folder: Path, *arguments: str, **environment: str) -> Done:
    process = await asyncio.create_subprocess_exec(
        TAPELINE,
        "doctor",
        *arguments,
        cwd=folder,
        env={name: value for name, value in os.environ.items() if "DATABENTO" not in name} | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(DEADLINE_S):
        out, err = await process.communicate()
    assert process.returncode is not None
    done = Done(process.returncode, out.decode(), err.decode())
    assert KEY not in done.out + done.err
    assert "Traceback" not in done.err
    return done


@pytest.mark.usefixtures("namespace")
async def test_the_command_is_green_and_ends_with_0(
    tmp_path: Path, bootstrap_servers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", bootstrap_servers)
    await asyncio.to_thread(apply_topics, bootstrap_servers, load_topics().values())
    # this dataset's market never closes, whatever day the tests run
    async with clinic(tmp_path, dataset="TAPELINE.SIM", at_ns=None) as rig:
        rig.open_market()
        done = await run(tmp_path, "databento", "--live", "--seconds", "3", "--json", **rig.environment())
        assert done.code == 0, done
        document = orjson.loads(done.out)
        assert (document["source"], document["ok"]) == ("databento", True)
        assert [check["name"] for check in document["checks"]] == NAMES
        assert {check["status"] for check in document["checks"]} == {"ok"}
        assert all(check["remedy"] is None for check in document["checks"])
        text = await run(tmp_path, "databento", **rig.environment())
        assert text.code == 0
        assert text.out.splitlines()[0].split()[:2] == ["ok", "key"]
        assert text.out.splitlines()[-1] == "databento: all is well"
        assert "\x1b" not in text.out
    assert done.err == text.err == ""


async def test_the_command_says_how_to_get_a_key_and_ends_with_1(tmp_path: Path) -> None:
    done = await run(tmp_path, "databento")
    assert done.code == 1
    lines = done.out.splitlines()
    assert lines[0].split() == ["red", "key", "there", "is", "no", "API", "key"]
    assert lines[1].startswith("        remedy: log in at databento.com, create a key in the portal")
    assert lines[-1] == "databento: 2 red (key, kafka)"
    document = orjson.loads((await run(tmp_path, "databento", "--json")).out)
    assert not document["ok"]
    assert "databento.com" in document["checks"][0]["remedy"]
    assert done.err == ""


async def test_what_listens_and_is_no_broker_is_red_without_a_word_from_kafkas_client(tmp_path: Path) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        done = await run(tmp_path, "databento", "--json", KAFKA_BOOTSTRAP_SERVERS=address)
    kafka = orjson.loads(done.out)["checks"][-1]
    assert (kafka["name"], kafka["status"]) == ("kafka", "red")
    assert f"no Kafka broker answers at {address}" in kafka["detail"]
    assert "tapeline kafka up" in kafka["remedy"]
    assert done.err == ""


@pytest.mark.parametrize("arguments", [(), ("--json",), ("--live", "--seconds", "0.5")])
async def test_the_key_is_in_no_output_of_the_command_whatever_goes_wrong(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    async with clinic(tmp_path) as rig:
        rig.gateway.faults.start("auth-failure", seconds=DEADLINE_S)
        rig.history.faults.add(HistoryFault("refuse", "metadata.list_datasets", status=500))
        done = await run(tmp_path, "databento", *arguments, **rig.environment(), TAPELINE_LOG_LEVEL="debug")
    assert done.code == 1
    assert KEY[-5:] not in done.out + done.err


@pytest.mark.parametrize(
    ("arguments", "environment", "told"),
    [
        (("databento",), {"TAPELINE_DATABENTO_PORT": "none"}, "TAPELINE_DATABENTO_PORT"),
        (("databento",), {"TAPELINE_DATABENTO_API_KEY_FILE": "nowhere"}, "cannot read nowhere"),
        (("databento",), {"TAPELINE_DATABENTO_PROT": "1"}, "TAPELINE_DATABENTO_PROT (in the environment) is not"),
        (("saved",), {}, "source 'saved' has no doctor; there are doctors of: barchart, databento"),
        (("bloomberg",), {}, "source 'bloomberg' is not installed; there are doctors of: barchart, databento"),
        (("databento", "--live", "--seconds", "0"), {}, "--seconds"),
        ((), {}, "Missing argument"),
    ],
)
async def test_wrong_settings_and_usage_end_with_2(
    tmp_path: Path, arguments: tuple[str, ...], environment: dict[str, str], told: str
) -> None:
    done = await run(tmp_path, *arguments, **environment)
    assert (done.code, done.out) == (2, "")
    assert told in done.err
