"""What is answered and exported of gaps, from scripted ledgers."""

from __future__ import annotations

from tests.unit.watchdog.feeding import S
from tests.unit.watchdog.test_gaps import DAY, KEY, NINE, Script, outage

from tapeline_watchdog.exporter import gap_rows
from tapeline_watchdog.gap_documents import gaps_document


def test_a_gap_is_shown_with_its_request_and_how_far_that_is() -> None:
    script = Script()
    outage(script)
    script.days()
    [shown] = gaps_document(script.ledger.report(script.at), is_fresh=True)["gaps"]
    assert shown == {
        "id": "g1",
        "source": "databento",
        "stream": "GLBX.MDP3/NQ.FUT",
        "kind": "mbo",
        "symbols": ("*",),
        "stage": "bounded",
        "reason": "the line broke",
        "ts_event_from": str(NINE + 600 * S),
        "ts_event_until": str(NINE + 690 * S),
        "opened_at": str(NINE + 690 * S),
        "missing_s": 90.0,
        "request": None,
    }
    [request] = script.ask()
    [shown] = gaps_document(script.ledger.report(script.at), is_fresh=True)["gaps"]
    assert (shown["stage"], shown["request"]["id"], shown["request"]["type"]) == ("requested", request.id, "requested")
    progress = {"back_end": "replay", "attempt": 1, "estimated_records": 40, "cost_micro_usd": 1_500_000}
    script.tell("progress", request, read=20, published=18, skipped=2, **progress)
    document = gaps_document(script.ledger.report(script.at), is_fresh=True)
    assert document["gaps"][0]["request"] == {
        "id": request.id,
        "type": "progress",
        "back_end": "replay",
        "estimated_records": 40,
        "read": 20,
        "published": 18,
        "skipped": 2,
        "counted": None,
        "cost_usd": 1.5,
        "attempt": 1,
        "reason": "",
        "at": str(script.at),
    }
    assert (document["at"], document["fresh"]) == (str(script.at), True)
    [told] = document["coverage"]
    assert (told["trading_day"], told["covered"][0]["ts_event_from"]) == (DAY, str(NINE))
    script.tell("rejected", request, reason="above the cap")
    [shown] = gaps_document(script.ledger.report(script.at), is_fresh=True)["gaps"]
    assert shown["reason"] == "the line broke; rejected: above the cap"


def test_what_is_awaited_comes_first_and_what_is_long_over_is_left_out() -> None:
    script = Script()
    outage(script)
    [request] = script.ask()
    script.tell("proven", request)
    script.lose("g2", NINE + 100 * S)
    script.beat(script.at + 86_400 * S, step_s=3_600)
    script.lose("g3", script.at)
    shown = gaps_document(script.ledger.report(script.at), is_fresh=False)["gaps"]
    assert [gap["id"] for gap in shown] == ["g3", "g2", "g1"]
    script.at += 2 * 86_400 * S
    document = gaps_document(script.ledger.report(script.at), is_fresh=False)
    assert [gap["id"] for gap in document["gaps"]] == ["g3", "g2"]
    assert (document["fresh"], document["left_out"]) == (False, 0)


def test_of_very_many_gaps_those_that_are_awaited_are_shown() -> None:
    script = Script()
    script.lose("awaited", NINE)
    script.at += 60 * S
    for number in range(500):
        script.bound(f"g{number}", None, NINE)
    document = gaps_document(script.ledger.report(script.at), is_fresh=True)
    assert (len(document["gaps"]), document["left_out"], document["gaps"][0]["id"]) == (500, 1, "awaited")


def test_metrics_count_stages_and_what_is_missing_but_not_what_is_given_up() -> None:
    script = Script()
    outage(script)
    script.lose("g2", NINE + 1_700 * S)
    script.bound("g3", None, NINE)
    script.at += 100 * S
    rows = {(gauge.name, *labels[3:]): value for gauge, labels, value in gap_rows(script.ledger.report(script.at))}
    assert rows == {
        ("tapeline_gaps", "open"): 1,
        ("tapeline_gaps", "bounded"): 1,
        ("tapeline_gaps", "requested"): 0,
        ("tapeline_gaps", "filled"): 0,
        ("tapeline_gaps", "proven"): 0,
        ("tapeline_gaps", "given_up"): 1,
        ("tapeline_gap_missing_seconds",): 90 + 200,
        ("tapeline_gap_oldest_seconds",): 1_800 - 690 + 100,
    }
    assert {tuple(labels[:3]) for _, labels, _ in gap_rows(script.ledger.report(script.at))} == {tuple(KEY)}
