"""Which lines there are, and what each of them asks for."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from tapeline_databento.plan import EVERYTHING, LinePlan, Request, plan_lines, quoted_parents
from tapeline_databento.settings import DatabentoSettings

ALL = (
    "mbo=NQ.FUT,ESZ6; mbp-1=NQ.OPT,Q2D.OPT; bbo-1s=NQ.FUT; trades=NQ.OPT; status=NQ.FUT; statistics=NQ.FUT;"
    " definition=NQ.FUT,NQ.OPT"
)


def settings(subscriptions: str = ALL, **others: float) -> DatabentoSettings:
    return DatabentoSettings.model_validate({"api_key": SecretStr("db-1"), "subscriptions": subscriptions, **others})


def plans(subscriptions: str = ALL) -> dict[str, LinePlan]:
    return {plan.name: plan for plan in plan_lines(settings(subscriptions))}


def stream(symbol: str) -> str:
    return f"GLBX.MDP3/{symbol}"


def test_a_slow_schema_has_a_connection_of_its_own() -> None:
    lines = plans()
    assert list(lines) == ["orders", "quotes", "reference"]
    assert lines["orders"].pairs == {(stream("NQ.FUT"), "mbo"), (stream("ESZ6"), "mbo")}
    assert lines["quotes"].kinds_by_stream() == {
        stream("NQ.FUT"): {"l1"},
        stream("NQ.OPT"): {"l1", "trade"},
        stream("Q2D.OPT"): {"l1"},
    }
    assert lines["reference"].pairs == {(stream("NQ.FUT"), "status"), (stream("NQ.FUT"), "statistics")}
    assert [line.has_definitions for line in lines.values()] == [False, False, True]
    assert list(plans("trades=NQ.FUT")) == ["quotes"]


def test_a_line_that_begins_asks_for_snapshots_of_orders_and_all_definitions() -> None:
    lines = plans()
    assert lines["orders"].requests({}) == [
        Request("mbo", ("NQ.FUT",), "parent", None, snapshot=True),
        Request("mbo", ("ESZ6",), "raw_symbol", None, snapshot=True),
    ]
    assert lines["quotes"].requests({}) == [
        Request("mbp-1", ("NQ.OPT", "Q2D.OPT"), "parent", None, snapshot=False),
        Request("bbo-1s", ("NQ.FUT",), "parent", None, snapshot=False),
        Request("trades", ("NQ.OPT",), "parent", None, snapshot=False),
    ]
    assert lines["reference"].requests({})[-1] == Request("definition", ("NQ.FUT", "NQ.OPT"), "parent", 0, False)


def test_all_replays_of_a_schema_begin_at_the_earliest_start_and_the_rest_begins_anew() -> None:
    orders = plans("mbo=NQ.FUT,ES.FUT,RTY.FUT,ZNZ6")["orders"]
    starts = {(stream("NQ.FUT"), "mbo"): 200, (stream("ZNZ6"), "mbo"): 300, (stream("ES.FUT"), "mbo"): 100}
    assert orders.requests(starts) == [  # type: ignore[arg-type]
        Request("mbo", ("NQ.FUT", "ES.FUT"), "parent", 100, snapshot=False),
        Request("mbo", ("RTY.FUT",), "parent", None, snapshot=True),
        Request("mbo", ("ZNZ6",), "raw_symbol", 100, snapshot=False),
    ]


def test_statistics_that_begin_anew_are_asked_for_as_far_back_as_the_gateway_has_them() -> None:
    line = plans("statistics=NQ.FUT,NQ.OPT; status=NQ.FUT; definition=NQ.OPT")["reference"]
    futures, options = ((stream(symbol), "statistics") for symbol in ("NQ.FUT", "NQ.OPT"))
    assert line.told_before({}) == [futures, options], "whatever the hour: not the status, which is told again"
    assert line.told_before({futures: 100}) == [options]
    assert line.told_before({futures: 100, options: 100}) == []
    statistics, *others = line.requests(dict.fromkeys(line.told_before({}), EVERYTHING))
    assert statistics == Request("statistics", ("NQ.FUT", "NQ.OPT"), "parent", 0, snapshot=False)
    assert [(each.schema, each.start_ns) for each in others] == [("status", None), ("definition", 0)]
    resumed = {futures: 100, options: EVERYTHING}
    assert line.requests(resumed)[0] == statistics, "one replay per schema"  # type: ignore[arg-type]
    assert plans()["quotes"].told_before({}) == plans()["orders"].told_before({}) == []


def test_what_is_sampled_is_never_replayed() -> None:
    quotes = plans()["quotes"]
    starts = dict.fromkeys(quotes.pairs, 100)
    assert set(starts) - set(quotes.resumable(starts)) == {(stream("NQ.FUT"), "l1")}
    assert quotes.resumable({(stream("XX.FUT"), "mbo"): 5}) == {}


def test_only_orders_of_a_futures_parent_must_not_be_silent_unless_set_otherwise() -> None:
    lines = plans()
    assert lines["orders"].silence_limits_s(settings()) == {(stream("NQ.FUT"), "mbo"): 60.0}
    assert lines["quotes"].silence_limits_s(settings()) == {}
    limited = lines["quotes"].silence_limits_s(settings(quotes_silence_s=5, trades_silence_s=7))
    assert limited[stream("Q2D.OPT"), "l1"] == 5
    assert limited[stream("NQ.OPT"), "trade"] == 7
    assert lines["orders"].silence_limits_s(settings(mbo_silence_s=0)) == {}
    assert lines["reference"].silence_limits_s(settings(quotes_silence_s=5, trades_silence_s=7)) == {}


@pytest.mark.parametrize(
    ("subscriptions", "parents"),
    [(ALL, ["NQ.FUT", "NQ.OPT"]), ("mbo=NQ.FUT", []), ("mbp-1=NQ.OPT; definition=NQ.OPT,NQ.FUT", ["NQ.OPT"])],
)
def test_parents_whose_contracts_and_quotes_both_come(subscriptions: str, parents: list[str]) -> None:
    assert sorted(set(quoted_parents(settings(subscriptions)))) == parents
