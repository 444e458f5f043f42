"""Only completed requests fill a gap; what others have brought of it stands among what they did not bring again."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.orderflow.builders import gap_frame

from tapeline.model.backfill import WHOLE_STREAM, BackfillRequest, request_id
from tapeline.model.control import Interval
from tapeline.orderflow.filling import filling_of

FRAME = gap_frame("bounded", ts_event_from=100, ts_event_to=199, kinds=("mbo",))
assert FRAME.gap is not None
GAPS = {FRAME.gap.id: FRAME.gap}


def asked(begin: int, until: int, symbols: tuple[str, ...] = WHOLE_STREAM) -> BackfillRequest:
    window = Interval(ts_event_from=begin, ts_event_until=until)
    what: Any = {"source": FRAME.source, "dataset": FRAME.dataset, "stream": FRAME.stream, "kind": "mbo"}
    name = request_id(*what.values(), symbols, window)
    return BackfillRequest(id=name, symbols=symbols, window=window, requested_by="test", requested_at=0, **what)


def brought(
    gaps: dict[str, Any], completed: list[BackfillRequest], partial: list[BackfillRequest], watermark: int = 90
) -> tuple[set[str], list[tuple[str, list[str]]]]:
    """Return the gaps that are filled, and for each fill its request and its gaps."""
    taken: list[str] = []

    def frames(request: BackfillRequest) -> list[tuple[()]]:
        taken.append(request.id)
        return [()]

    filling = filling_of("mbo", gaps, completed, partial, frames, watermark)
    return set(filling.filled), [
        (name, [gap.id for gap in fill.gaps]) for name, fill in zip(taken, filling.fills, strict=True)
    ]


@pytest.mark.parametrize(
    ("begin", "until", "symbols"),
    [(50, 150, WHOLE_STREAM), (120, 130, ("ESH4",)), (199, 300, WHOLE_STREAM)],
    ids=["before", "symbol", "end"],
)
def test_what_was_brought_of_a_gap_belongs_to_it(begin: int, until: int, symbols: tuple[str, ...]) -> None:
    filler, given_up = asked(100, 200), asked(begin, until, symbols)
    filled, fills = brought(GAPS, [filler], [given_up])
    assert filled == GAPS.keys()
    assert dict(fills) == {filler.id: [*GAPS], given_up.id: [*GAPS]}
    assert brought(GAPS, [], [given_up, filler]) == (set(), [])


def test_what_was_brought_where_no_gap_is_counts_where_another_passed_it_over() -> None:
    filler, met, alone = asked(100, 200), asked(150, 250), asked(200, 300)
    assert sorted(brought({}, [filler], [met, alone])[1]) == sorted([(filler.id, []), (met.id, [])])
    of_others = asked(150, 250, ("NQH4",))
    assert brought({}, [asked(100, 200, ("ESH4",))], [of_others])[1] == [(asked(100, 200, ("ESH4",)).id, [])]
    assert brought({}, [filler], [met], watermark=151)[1] == []
