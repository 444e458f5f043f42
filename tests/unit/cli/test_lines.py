"""What people read of a message."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from tapeline_cli.lines import event_line, instrument_line, quality_line

GOLDEN: Final = Path(__file__).parents[3] / "schemas" / "golden"


def golden(name: str, **changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = orjson.loads((GOLDEN / f"{name}.json").read_bytes())
    return document | changes


@pytest.mark.parametrize(
    ("document", "line"),
    [
        (
            golden("instrument.v1.option"),
            "2026-11-24 GLBX.MDP3/Q4B.OPT Q4BX6 C25100: european call at 25,100 on NQZ6 until 2026-11-24 21:00:00 × 20"
            " tick 0.05 up to 5, 0.25 (assumed)",
        ),
        (
            golden("instrument.v1.future"),
            "2026-11-24 GLBX.MDP3/NQ.FUT NQZ6: class F until 2026-12-18 14:30:00 × 20 tick 0.25",
        ),
        (
            golden("instrument.v1.spread"),
            "2026-11-24 GLBX.MDP3/Q4B.OPT UD:1V: VT 2805719: user-defined class T until 2026-11-24 21:00:00 × 20"
            " tick 0.05 of +1 Q4BX6 C25100, −1 Q4BX6 C25200 (modified)",
        ),
        (
            golden("instrument.v1.future", parent=None, expiry=None, multiplier=None, tick=None, update_action="D"),
            "2026-11-24 GLBX.MDP3/– NQZ6: class F (deleted)",
        ),
    ],
)
def test_an_instrument_says_what_its_definition_says(document: dict[str, Any], line: str) -> None:
    assert instrument_line(document) == line


def test_quality_says_what_is_missing() -> None:
    assert quality_line(golden("quality.v1.contract_completeness")) == (
        "2026-11-24 20:59:00 databento GLBX.MDP3/Q4B.OPT 2026-11-24:"
        " 410 of 412 contracts have quoted since 2026-11-23 23:00:00;"
        " missing Q4BX6 C29000, Q4BX6 P19000; without definition 42077777; 35 user-defined"
    )


def test_quality_names_few_of_many_and_says_the_end_of_the_day() -> None:
    many = [f"S{each}" for each in range(100)]
    changes = {"missing": 1_412, "missing_symbols": many, "unlisted": 0, "unlisted_ids": [], "user_defined": 0}
    line = quality_line(golden("quality.v1.contract_completeness", **changes, final=True))
    assert line.endswith("; missing S0, S1, S2, S3, S4 and 1,407 more; end of the trading day")


def test_a_check_of_a_chain_says_what_was_found_where_and_what_was_not_looked_at() -> None:
    chain = "NQZ6/2026-11-26T21:00:00Z"
    assert quality_line(golden("quality.v1.chain_check")) == (
        f"2026-11-24 14:15:00 saved (barchart) saved {chain} as of 2026-11-24 13:59:00: 1 error, 1 warning;"
        " 30_completeness error: 588 of 600 contracts are there; expected by vendor_total, which proves transport only;"
        " 34_vertical warning: spreads that cost less than nothing, or pay less than their price in every case"
        " (NQZ6 2026-11-26T21:00Z C25100, NQZ6 2026-11-26T21:00Z C25125);"
        " not checked: 41_underlying (the chain has no price of its underlying)"
    )
    clean = {"verdict": {"errors": 0, "warnings": 0, "rules": {}}, "findings": [], "not_checked": {}}
    line = quality_line(golden("quality.v1.chain_check", source="barchart", mode="live", **clean))
    assert line == f"2026-11-24 14:15:00 barchart live {chain} as of 2026-11-24 13:59:00: 0 errors, 0 warnings"


def test_a_report_of_ticks_says_what_was_found_of_which_symbol() -> None:
    assert quality_line(golden("quality.v1.tick_quality")) == (
        "2026-11-24 14:00:00 databento GLBX.MDP3/NQ.FUT mbo: 41,873 ticks since 2026-11-24 13:59:00;"
        " 2 errors, 1 warning; 05_off_grid warning NQH7 3 times: a price is no multiple of the instrument's step,"
        " price 25,104.13; 06_stale error NQZ6 1 time: nothing comes of it, while the rest of the stream goes on,"
        " longest_s 87.9; 10_gap error * 1 time: disconnected;"
        " not checked: 17_definition (there are no definitions of GLBX.MDP3 on 2026-11-24)"
    )


def test_events_say_what_happened() -> None:
    lines = [event_line(golden(f"feed-event.v1.{name}")) for name in ("connected", "disconnected", "heartbeat")]
    assert [line.split()[4] for line in lines] == ["connected", "disconnected", "mbo:"]


def test_a_change_of_source_says_from_what_to_what_and_a_failure_names_its_files() -> None:
    changed = golden("feed-event.v1.source_changed")
    assert f"{changed['was']} → {changed['now']}: {changed['reason']}" in event_line(changed)
    failed = golden("feed-event.v1.fetch_failed")
    assert event_line(failed).endswith(f"{failed['reason']} (captured: {', '.join(failed['captures'])})")


def test_a_heartbeat_says_nothing_of_frames_where_there_are_none() -> None:
    beat = golden("feed-event.v1.heartbeat")
    assert event_line({**beat, "kind": "chain", "ticks": 1, "frame": None, "latency_p99_ns": None}).endswith(
        "chain: 1 chain"
    )
    assert f"frame {beat['frame']}" in event_line(beat)
