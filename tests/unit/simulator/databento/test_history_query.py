"""Times, parameters, availability, prices and rates of the Historical API: what is pure of it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from tapeline.errors import BadData
from tapeline_simulator.databento.history.availability import EMBARGO_NS, Availability
from tapeline_simulator.databento.history.faults import HistoryFault, HistoryFaults, named_fault
from tapeline_simulator.databento.history.pricing import USD_PER_GIGABYTE, cost_usd, unit_prices
from tapeline_simulator.databento.history.query import read_dates, read_range, read_symbols
from tapeline_simulator.databento.history.rates import RateLimit
from tapeline_simulator.databento.history.refusals import Refusal
from tapeline_simulator.databento.history.times import (
    DAY_NS,
    begin_of,
    day_after_last,
    day_of,
    format_time,
    parse_time,
    say_time,
)

SECOND = 10**9
START = 1_790_000_000_000_000_000  # 2026-09-21T14:13:20Z
GOOD = {"dataset": "GLBX.MDP3", "symbols": "NQZ6", "start": "2026-09-01", "schema": "mbo"}


@pytest.mark.parametrize(
    ("text", "at_ns", "resolution_ns"),
    [
        ("2026-09-21", START // DAY_NS * DAY_NS, DAY_NS),
        ("2026-09-21T14", START - 800 * SECOND, 3_600 * SECOND),
        ("2026-09-21T14:13", START - 20 * SECOND, 60 * SECOND),
        ("2026-09-21T14:13:20", START, SECOND),
        ("2026-09-21 14:13:20.5", START + SECOND // 2, SECOND // 10),
        ("2026-09-21T14:13:20.000000001Z", START + 1, 1),
        ("2026-09-21T16:13:20+02:00", START, SECOND),
        ("2026-09-21T04:43:20.25-09:30", START + SECOND // 4, SECOND // 100),
        (str(START), START, 1),
    ],
)
def test_times_are_read_as_the_client_writes_them(text: str, at_ns: int, resolution_ns: int) -> None:
    assert parse_time(text) == (at_ns, resolution_ns)


@pytest.mark.parametrize(
    "text", ["", "now", "2026-13-01", "2026-09-21T25", "2026-09-21T14:13:20.0000000001", "-5", str(2**63)]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a time|must be in"):
        parse_time(text)


def test_times_are_written_whole() -> None:
    assert format_time(START + 7) == "2026-09-21T14:13:20.000000007Z"
    assert say_time(START) == "2026-09-21 14:13:20+00:00"
    assert say_time(START + 7) == "2026-09-21 14:13:20.000000007+00:00"


def test_a_day_ends_where_the_next_begins() -> None:
    day = date(2026, 9, 21)
    assert day_of(begin_of(day)) == day_of(begin_of(day) + DAY_NS - 1) == day
    assert day_after_last(begin_of(day)) == day
    assert day_after_last(begin_of(day) + 1) == day + timedelta(days=1)


def test_a_range_without_an_end_is_as_long_as_its_start_is_vague() -> None:
    query = read_range(GOOD, ("mbo",), zero_is_no_limit=False)
    assert query.end_ns - query.start_ns == DAY_NS
    assert query.limit is None
    assert query.symbols.symbols == ("NQZ6",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start": ""}, "start: Field required"),
        ({"symbols": " "}, "symbols: Field required"),
        ({"start": "soon"}, "start: must be ISO 8601"),
        ({"end": "later"}, "end: must be ISO 8601"),
        ({"limit": "0"}, "limit: Input should be greater than 0"),
        ({"limit": "-1"}, "limit: must be a whole number"),
        ({"schema": "mbp-10"}, "schema mbp-10 is not available"),
        ({"stype_in": "isin"}, "from isin to instrument_id is not supported"),
        ({"stype_out": "parent"}, "from raw_symbol to parent is not supported"),
        ({"symbols": ",".join(map(str, range(2_001)))}, "at most 2,000 symbols"),
    ],
)
def test_parameters_that_break_a_rule_are_refused(change: dict[str, str], message: str) -> None:
    with pytest.raises(Refusal, match=message) as refused:
        read_range(GOOD | change, ("mbo",), zero_is_no_limit=False)
    assert refused.value.status == 422


def test_a_limit_of_zero_is_none_where_the_real_one_takes_it_so() -> None:
    assert read_range(GOOD | {"limit": "0"}, ("mbo",), zero_is_no_limit=True).limit is None
    assert read_range(GOOD | {"limit": "5"}, ("mbo",), zero_is_no_limit=True).limit == 5


def test_symbols_are_asked_for_once() -> None:
    assert read_symbols(GOOD | {"symbols": "NQZ6, ESZ6,NQZ6,"}).symbols == ("NQZ6", "ESZ6")
    assert read_symbols(GOOD | {"symbols": "NQZ6,ALL_SYMBOLS"}).symbols == ("ALL_SYMBOLS",)


def test_dates_of_symbology_end_before_their_end() -> None:
    assert read_dates({"start_date": "2026-09-01"}) == (date(2026, 9, 1), date(2026, 9, 2))
    with pytest.raises(Refusal, match="data_date_range_start_on_or_after_end"):
        read_dates({"start_date": "2026-09-01", "end_date": "2026-09-01"})


AVAILABLE = Availability("GLBX.MDP3", now_ns=START, embargo_ns=EMBARGO_NS, first_day=date(2026, 9, 1))


def test_history_reaches_to_exactly_a_day_ago() -> None:
    AVAILABLE.check(begin_of(date(2026, 9, 1)), START - DAY_NS)
    with pytest.raises(Refusal, match="dataset_unavailable_range") as refused:
        AVAILABLE.check(begin_of(date(2026, 9, 1)), START - DAY_NS + 1)
    detail = refused.value.body["detail"]
    assert detail["payload"]["available_end"] == "2026-09-20T14:13:20.000000000Z"
    assert "Try again with an end time before 2026-09-20T14:13:20.000000000Z" in detail["message"]


@pytest.mark.parametrize(
    ("start_ns", "end_ns", "case"),
    [
        (START - 5, START - 5, "data_time_range_start_on_or_after_end"),
        (begin_of(date(2026, 8, 31)), START - DAY_NS, "data_start_before_available_start"),
        (START - 2 * DAY_NS, START + 1, "data_end_after_available_end"),
        (START, START + 1, "data_start_after_available_end"),
        (START - 2 * DAY_NS, START, "dataset_unavailable_range"),
    ],
)
def test_what_is_not_history_is_refused_by_its_case(start_ns: int, end_ns: int, case: str) -> None:
    with pytest.raises(Refusal) as refused:
        AVAILABLE.check(start_ns, end_ns)
    assert (refused.value.case, refused.value.status) == (case, 422)


def test_a_day_is_pending_until_it_is_history() -> None:
    days = AVAILABLE.conditions(date(2026, 9, 18), None, {date(2026, 9, 18): "degraded"})
    assert [(day["date"], day["condition"]) for day in days] == [
        ("2026-09-18", "degraded"),
        ("2026-09-19", "available"),
        ("2026-09-20", "pending"),
    ]
    assert len(AVAILABLE.conditions(None, date(2026, 9, 2), {})) == 2


def test_the_cost_is_the_vendors_formula() -> None:
    # The vendor's documentation has 99,219,648 bytes at 28.00 USD per gigabyte cost 2.587353944778 USD.
    assert cost_usd("trades", 99_219_648) / USD_PER_GIGABYTE["trades"] * 28 == pytest.approx(2.587353944778, abs=1e-12)
    assert cost_usd("mbo", 0) == 0


def test_prices_are_told_for_each_mode_and_only_for_schemas_that_there_are() -> None:
    by_mode = {each["mode"]: each["unit_prices"] for each in unit_prices(("mbo", "trades"))}
    assert by_mode["historical-streaming"] == {"mbo": USD_PER_GIGABYTE["mbo"], "trades": USD_PER_GIGABYTE["trades"]}
    assert by_mode["live"]["mbo"] == pytest.approx(1.2 * USD_PER_GIGABYTE["mbo"])


def test_each_key_and_family_has_a_rate_of_its_own() -> None:
    rates = RateLimit({"metadata": 2})
    assert [rates.wait_s("a", "metadata", at) for at in (0, 10)] == [0, 0]
    assert rates.wait_s("a", "metadata", SECOND // 4) == 0.75
    assert rates.wait_s("b", "metadata", SECOND // 4) == 0
    assert rates.wait_s("a", "timeseries", SECOND // 4) == 0
    assert rates.wait_s("a", "metadata", SECOND) == 0
    assert rates.wait_s("a", "metadata", SECOND + 5) == 5 / SECOND
    assert RateLimit({"metadata": 0}).wait_s("a", "metadata", 0) == 1


def test_faults_happen_as_often_as_asked_to_the_method_that_was_meant() -> None:
    faults = HistoryFaults()
    faults.add(HistoryFault("refuse", "timeseries.get_range", times=2))
    faults.add(HistoryFault("hang"))
    taken = [faults.take("metadata.get_cost"), *(faults.take("timeseries.get_range") for _ in range(3))]
    assert [fault and fault.kind for fault in taken] == ["hang", "refuse", "refuse", None]
    faults.add(HistoryFault("hang"))
    faults.clear()
    assert faults.take("timeseries.get_range") is None


def test_a_command_names_a_fault_and_its_parameters() -> None:
    fault = named_fault("http-cut", {"framing": "close", "share": 0.25, "method": "timeseries.get_range"})
    assert fault == HistoryFault("cut", "timeseries.get_range", framing="close", share=0.25)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("fin", {}, "name: must be one of http-refuse, http-hang"),
        ("http-cut", {"kind": "hang"}, "kind: is no parameter of http-cut, which takes method, times"),
        ("http-cut", {"framing": "udp"}, "framing: must be one of length, chunked, close"),
        ("http-cut", {"share": 1.5}, "share: must be within 0 and 1"),
        ("http-refuse", {"status": 200}, "status: must be within 400 and 599"),
        ("http-refuse", {"retry_after_s": "7"}, "retry_after_s: must be a whole number"),
        ("http-slow", {"bytes_per_s": 0}, "bytes_per_s: must be a whole number above 0"),
        ("http-hang", {"times": True}, "times: must be a whole number above 0"),
        ("http-count", {"difference": 0.5}, "difference: must be a whole number"),
    ],
)
def test_faults_that_cannot_be_are_refused(name: str, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(BadData, match=message):
        named_fault(name, parameters)
