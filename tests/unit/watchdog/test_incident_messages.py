"""What people read of an incident, on a phone and at night."""

from __future__ import annotations

from typing import Any

import orjson

from tapeline.model.incidents import Incident
from tapeline_watchdog.incident_messages import body, text

S = 1_000_000_000
OPEN = Incident(
    id="i",
    type="feed_disconnected",
    state="open",
    severity="critical",
    subject="databento/D/NQ.FUT",
    summary="databento D/NQ.FUT is disconnected (mbo): <reset>",
    evidence=("D/NQ.FUT mbo: DISCONNECTED, <reset>",),
    opened_at=1_703_545_200 * S,
    changed_at=1_703_545_215 * S,
)


def changed(**fields: Any) -> Incident:
    return OPEN.model_copy(update=fields)


def test_an_open_one_says_what_and_since_when() -> None:
    assert text(OPEN).splitlines() == [
        "CRITICAL: databento D/NQ.FUT is disconnected (mbo): <reset>",
        "since 2023-12-25 23:00:00 UTC",
        "- D/NQ.FUT mbo: DISCONNECTED, <reset>",
    ]
    assert text(changed(flaps=1)).startswith("Again, CRITICAL: ")
    assert text(changed(flaps=1), is_worse=True).startswith("Worse now, CRITICAL: ")


def test_a_closed_one_says_for_how_long_and_what_was_done() -> None:
    over = changed(state="closed", closed_at=OPEN.opened_at + 3_725 * S, flaps=3, request_ids=("r1", "r2"))
    lines = text(over).splitlines()
    assert lines[0] == "Over after 1 h 2 min: databento D/NQ.FUT is disconnected (mbo): <reset>"
    assert lines[1:3] == ["from 2023-12-25 23:00:00 UTC until 2023-12-26 00:02:05 UTC", "it came back 3 times"]
    assert lines[-1] == "backfills: r1, r2"
    for seconds, said in ((59, "59 s"), (60, "1 min 0 s"), (3_599, "59 min 59 s"), (3_600, "1 h 0 min")):
        length = changed(state="closed", closed_at=OPEN.opened_at + seconds * S)
        assert text(length).startswith(f"Over after {said}: ")


def test_long_ones_are_cut() -> None:
    long = changed(summary="x" * 10_000, evidence=tuple(f"{number}: y" for number in range(20)))
    assert len(text(long)) < 1_000
    assert text(long).endswith("- 7: y\n- and 12 more")


def test_generic_json_holds_the_whole_incident_and_slack_no_markup() -> None:
    generic = orjson.loads(body("json", OPEN))
    assert (generic["event"], generic["text"]) == ("incident_opened", text(OPEN))
    assert Incident.decode(orjson.dumps(generic["incident"])) == OPEN
    assert orjson.loads(body("json", changed(state="closed")))["event"] == "incident_closed"
    assert orjson.loads(body("json", OPEN, is_worse=True))["event"] == "incident_worsened"
    slack = orjson.loads(body("slack", OPEN))
    assert list(slack) == ["text"]
    assert "&lt;reset&gt;" in slack["text"]
    assert "<" not in slack["text"]
