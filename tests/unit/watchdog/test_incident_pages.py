"""Of incidents the page is told what is open, all of it, and what was over last."""

from __future__ import annotations

from typing import Literal

from tapeline.model.incidents import Incident
from tapeline_watchdog.incident_pages import recent

S = 1_000_000_000


def incident(name: str, state: Literal["open", "closed"]) -> Incident:
    return Incident(
        id=name,
        type="feed_disconnected",
        state=state,
        severity="critical",
        subject="databento",
        summary="cut off",
        opened_at=1_800_000_000 * S,
        changed_at=1_800_000_000 * S,
        closed_at=1_800_000_000 * S if state == "closed" else None,
    )


def test_no_open_one_is_left_out_and_of_the_others_the_last_are_there() -> None:
    opened = [incident(f"o{number}", "open") for number in range(70)]
    over = [incident(f"c{number}", "closed") for number in range(80)]
    assert recent([*opened, *over]) == [*opened, *over[:50]]
    assert recent(over[:3]) == over[:3]
    assert recent(opened) == opened
