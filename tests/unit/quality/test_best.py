"""Which source's chain is the best one now: by a table of cases, and over time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tapeline.model.chains import Chain, Contracts, Mode, Verdict
from tapeline.quality.best import NO_ELIGIBLE_SOURCE, Choice, Limits, Offer, choose

NOW = 1_764_000_000_000_000_000
S = 1_000_000_000
LIMITS = Limits({"live": 120.0, "databento/live": 15.0, "cache": 2_000.0, "saved": 80_000.0}, hold_s=10.0)


def offer(
    origin: str,
    age_s: float = 1.0,
    *,
    delay_s: float = 0.0,
    complete: bool | None = True,
    by_definitions: bool = False,
    errors: int = 0,
    warnings: int = 0,
) -> Offer:
    source, _, mode = origin.partition("/")
    return Offer(
        source=source,
        mode=mode,  # type: ignore[arg-type]
        as_of=NOW - int((age_s + delay_s) * S),
        delay_s=delay_s,
        complete=complete,
        is_complete_by_definitions=by_definitions,
        verdict=Verdict(errors, warnings),
    )


def chosen(offers: list[Offer], before: Choice | None = None, *, after_s: float = 0.0) -> Choice:
    choice = choose(offers, before, at_ns=NOW + int(after_s * S), limits=LIMITS)
    assert choice is not None
    return choice


LIVE, POLLED = offer("databento/live", by_definitions=True), offer("barchart/live", 30.0)
CACHED, SAVED = offer("barchart/cache", 300.0), offer("saved/saved", 5_000.0)


@pytest.mark.parametrize(
    ("offers", "best", "reason"),
    [
        ([LIVE], "databento/live", "is the only eligible source"),
        ([SAVED, POLLED, LIVE], "databento/live", "ranks before barchart/live as more vouches for its completeness"),
        ([offer("databento/live", 15.1), POLLED, SAVED], "barchart/live", "ranks before saved/saved by its mode"),
        ([offer("databento/live", 15.1), CACHED, SAVED], "barchart/cache", "ranks before saved/saved by its mode"),
        ([offer("databento/live", 99), offer("barchart/cache", 2_001), SAVED], "saved/saved", "is the only eligible"),
        ([offer("databento/live", errors=1), CACHED], "barchart/cache", "is the only eligible"),
        ([offer("databento/live", 14, complete=False), offer("barchart/live", delay_s=600.0)], "databento/live", "del"),
        ([offer("databento/live", 8.0), POLLED], "barchart/live", "as the other is past half of its age limit"),
        (
            [offer("a/live", complete=None), offer("b/live", complete=False)],
            "a/live",
            "as more vouches for its completeness",
        ),
        ([offer("a/live", warnings=3), offer("b/live")], "b/live", "as it has no warnings"),
        ([offer("a/live", 3.0), offer("b/live", 2.0)], "b/live", "ranks with a/live, and is younger"),
        ([offer("b/live"), offer("a/live")], "a/live", "ranks with b/live"),
        ([offer("a/live", -3_000.0)], "a/live", "is the only eligible"),
    ],
)
def test_the_best_of_several_and_why(offers: list[Offer], best: str, reason: str) -> None:
    choice = chosen(offers)
    assert choice.origin == best
    assert choice.selection.reason.startswith(f"{best} ")
    assert reason in choice.selection.reason
    assert choice.selection.since == choice.selection.at == NOW


def test_every_candidate_says_why_it_was_passed_over() -> None:
    offers = [
        offer("databento/live", 31.04, errors=2),
        offer("barchart/cache", delay_s=600.0),
        offer("saved/saved"),
        offer("other/live", 130.0, delay_s=60.0, warnings=4, complete=None),
    ]
    remarks = [
        (each.source, each.eligible, each.errors, each.warnings, each.complete, each.age_s, each.remark)
        for each in chosen(offers).selection.candidates
    ]
    assert remarks == [
        ("databento", False, 2, 0, True, 31.04, "31.0 s old, at most 15 s; 2 errors of the quality rules"),
        ("barchart", True, 0, 0, True, 601.0, "chosen"),
        ("saved", True, 0, 0, True, 1.0, "barchart/cache ranks before saved/saved by its mode"),
        ("other", False, 0, 4, None, 190.0, "130.0 s old beyond its delay, at most 120 s"),
    ]


def test_nothing_is_chosen_while_none_was_ever_eligible() -> None:
    assert choose([offer("a/live", errors=1)], None, at_ns=NOW, limits=LIMITS) is None
    assert choose([], None, at_ns=NOW, limits=LIMITS) is None


def test_it_falls_back_at_once_and_comes_back_once_the_better_one_has_held() -> None:
    first = chosen([LIVE, POLLED])
    fallen = chosen([offer("databento/live", 16.0), POLLED], first)
    assert (fallen.origin, fallen.selection.since) == ("barchart/live", NOW)
    present = fallen
    for after_s in (1.0, 5.0, 10.9):
        present = chosen(shifted([LIVE, POLLED], after_s), present, after_s=after_s)
        assert present.origin == "barchart/live"
    assert "ranks before it: 9.9 s so far, of 10 s" in present.selection.reason
    back = chosen(shifted([LIVE, POLLED], 11.0), present, after_s=11.0)
    assert (back.origin, back.selection.since, back.challenged_at) == ("databento/live", NOW + 11 * S, None)


def test_a_source_that_comes_and_goes_does_not_take_over() -> None:
    present = chosen([POLLED])
    for second in range(1, 60):
        offers = [replace(LIVE, verdict=Verdict(errors=1 if second % 9 == 0 else 0)), POLLED]
        present = chosen(shifted(offers, second), present, after_s=second)
        assert present.origin == "barchart/live"
    assert present.selection.since == NOW


def test_of_equal_ones_the_present_one_stays() -> None:
    present = chosen([offer("a/live", 20.0), offer("b/live", 30.0)])
    assert present.origin == "a/live"
    present = chosen([offer("a/live", 50.0), offer("b/live", 0.0)], present)
    assert present.origin == "a/live"
    assert present.selection.reason == "a/live ranks with b/live, and was there first"


def test_the_same_source_in_another_mode_is_another_origin() -> None:
    present = chosen(shifted([CACHED], 5.0), chosen([POLLED]), after_s=5.0)
    assert (present.origin, present.selection.since) == ("barchart/cache", NOW + 5 * S)


def test_without_an_eligible_source_the_last_one_is_named_until_one_is() -> None:
    present = chosen([LIVE])
    none = chosen([LIVE], present, after_s=15.0)
    assert (none.source, none.mode, none.is_eligible, none.origin) == ("databento", "live", False, "none")
    assert none.selection.reason == "no source is eligible; the last one that was is databento/live"
    assert [each.eligible for each in none.selection.candidates] == [False]
    later = chosen([], none, after_s=20.0)
    assert (later.is_eligible, later.selection.since) == (False, NOW + 15 * S)
    back = chosen(shifted([LIVE], 21.0), later, after_s=21.0)
    assert (back.origin, back.selection.since) == ("databento/live", NOW + 21 * S)


def test_a_restart_goes_on_where_the_last_message_was() -> None:
    before = chosen([POLLED])
    told = Choice.of(chain("barchart", "live", before))
    assert told is not None
    assert (told.origin, told.selection) == ("barchart/live", before.selection)
    after = chosen(shifted([LIVE, POLLED], 3.0), told, after_s=3.0)
    assert (after.origin, after.selection.since) == ("barchart/live", NOW)
    gone = Choice.of(chain("barchart", "live", before, flags=(NO_ELIGIBLE_SOURCE,)))
    assert gone is not None
    assert chosen([LIVE], gone).origin == "databento/live"
    assert Choice.of(replace(chain("barchart", "live", before), selection=None)) is None


def test_what_counts_of_a_chain() -> None:
    live = replace(chain("databento", "live", None), expected_from="definitions", complete=True, delay_s=None)
    assert Offer.of(live, Verdict(1, 2)) == Offer("databento", "live", NOW, 0.0, True, True, Verdict(1, 2))
    total = replace(live, expected_from="vendor_total", delay_s=600.0)
    assert Offer.of(total, Verdict()) == Offer("databento", "live", NOW, 600.0, True, False, Verdict())
    assert not Offer.of(replace(live, complete=False), Verdict()).is_complete_by_definitions


def shifted(offers: list[Offer], seconds: float) -> list[Offer]:
    """Return the offers as they are when each is told anew `seconds` later."""
    return [replace(each, as_of=each.as_of + int(seconds * S)) for each in offers]


def chain(source: str, mode: Mode, choice: Choice | None, flags: tuple[str, ...] = ()) -> Chain:
    return Chain(
        source=source,
        vendor=source,
        underlying="NQZ6",
        expiry=NOW + 3_600 * S,
        series=None,
        vendor_series=None,
        style=None,
        settlement_method=None,
        multiplier=None,
        currency=None,
        mode=mode,
        as_of=NOW,
        fetched_at=NOW,
        published_at=NOW,
        delay_s=None,
        underlying_price=None,
        expected=None,
        expected_from=None,
        complete=None,
        contracts=Contracts(
            strike=np.empty(0, dtype=np.int64),
            is_call=np.empty(0, dtype=bool),
            vendor_symbols=(),
            columns={},
            flags=np.empty(0, dtype=np.uint32),
        ),
        flags=flags,
        selection=None if choice is None else choice.selection,
    )
