"""The best chain of each key: what is told when sources speak, fall silent and come back, and when a worker resumes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.unit.quality.chain_builders import AS_OF, on_surface, with_columns

from tapeline.model.chain_codec import decode_chain
from tapeline.model.chain_quality import ChainQuality, decode_chain_quality
from tapeline.model.chains import NULL, Chain, flag_bit
from tapeline.model.events import FeedEvent, decode_event
from tapeline.quality.best import Limits
from tapeline.quality.chains import ChainLimits
from tapeline_processor.operators.best_chain import BestChains, Output

S = 10**9
LIMITS = Limits({"live": 15.0, "cache": 600.0, "saved": 600.0}, hold_s=3.0)
PLAIN = on_surface()
"""Without volatilities, as vendors send it."""


def chain(source: str = "databento", mode: str = "live", *, after_s: float = 0.0, **fields: Any) -> Chain:
    at = AS_OF + round(after_s * S)
    told = {"as_of": at, "fetched_at": at, "published_at": at, "source": source, "mode": mode}
    return replace(PLAIN, **told | fields)


class Desk:
    """A worker's best chains in partition 0, and what it has told."""

    def __init__(self) -> None:
        self.best = BestChains(LIMITS, ChainLimits(), rate=0.04, session="run")
        self.told: list[Output] = []

    def second(self, after_s: float, *chains: Chain) -> list[Chain]:
        """Take in chains, judge, and return the best chains that are told."""
        at_ns = AS_OF + round(after_s * S)
        for each in chains:
            self.best.take(0, each, at_ns)
        outputs = list(self.best.judge(at_ns))
        self.told += outputs
        return [decode_chain(output.value) for output in outputs if output.topic == "md.chains.v1"]

    def changes(self) -> list[FeedEvent]:
        return [decode_event(output.value) for output in self.told if output.topic == "md.feed-events.v1"]

    def checks(self) -> list[ChainQuality]:
        return [decode_chain_quality(output.value) for output in self.told if output.topic == "md.quality.v1"]


def test_the_best_chain_is_told_whole_and_with_its_provenance() -> None:
    desk = Desk()
    (best,) = desk.second(0.5, chain(), chain("barchart", "cache"))
    assert (best.source, best.mode, best.as_of, best.published_at) == ("databento", "live", AS_OF, AS_OF + S // 2)
    assert best.verdict is not None
    assert best.verdict.errors == 0
    assert best.selection is not None
    assert best.selection.reason == "databento/live ranks before barchart/cache by its mode"
    assert [(each.source, each.remark) for each in best.selection.candidates] == [
        ("databento", "chosen"),
        ("barchart", "databento/live ranks before barchart/cache by its mode"),
    ]
    assert {output.key for output in desk.told} == {best.key, f"processor/{best.key}"}


def test_chains_without_volatilities_get_them_and_others_keep_theirs() -> None:
    (plain,) = Desk().second(0.0, chain())
    assert "iv_mid" in plain.computed
    assert plain.rate == 0.04
    own = replace(plain, rate=0.01, verdict=None, selection=None)
    (kept,) = Desk().second(0.0, own)
    assert kept.rate == 0.01


def test_a_chain_is_told_once_and_again_when_a_newer_one_came() -> None:
    desk = Desk()
    assert len(desk.second(0.0, chain())) == 1
    assert desk.second(1.0) == []
    (again,) = desk.second(2.0, chain(after_s=2.0))
    assert again.as_of == AS_OF + 2 * S
    assert desk.second(3.0, chain(after_s=1.0)) == [], "an older one counts no more"


def test_what_the_rules_find_marks_the_contracts() -> None:
    strikes, is_call = PLAIN.contracts.strike, PLAIN.contracts.is_call
    row = int(np.flatnonzero(is_call & (strikes == 25_000 * S))[0])
    sides = {name: PLAIN.contracts.integers(name).copy() for name in ("bid", "ask")}
    for side in sides.values():
        side[row] -= 40 * S
    (best,) = Desk().second(0.0, with_columns(chain(), **sides))
    assert best.contracts.flags[row] & flag_bit("butterfly")
    assert best.verdict is not None
    assert best.verdict.warnings > 0


def test_errors_exclude_a_chain_and_are_told() -> None:
    desk = Desk()
    nothing = with_columns(chain(), bid=np.full(len(PLAIN.contracts), NULL))
    assert desk.second(0.0, nothing) == []
    (best,) = desk.second(1.0, chain("barchart", "cache"))
    assert best.source == "barchart"
    assert [(each.source, each.verdict.errors > 0) for each in desk.checks()] == [
        ("databento", True),
        ("barchart", False),
    ]


def test_it_says_at_once_when_no_source_is_left_and_once_only() -> None:
    desk = Desk()
    (first,) = desk.second(0.0, chain())
    assert desk.second(15.0) == []
    (last,) = desk.second(15.5)
    assert (last.flags, last.as_of, last.published_at) == (("no_eligible_source",), AS_OF, AS_OF + round(15.5 * S))
    assert last.contracts.strike.tolist() == first.contracts.strike.tolist()
    assert last.selection is not None
    assert last.selection.reason == "no source is eligible; the last one that was is databento/live"
    assert desk.second(16.0) == []
    (back,) = desk.second(17.0, chain(after_s=17.0))
    assert back.flags == ()
    (last,) = desk.second(40.0)
    assert last.flags == ("no_eligible_source",)


def test_changes_of_source_are_events_with_their_reason() -> None:
    desk = Desk()
    desk.second(0.0, chain(), chain("barchart", "cache"))
    desk.second(16.0)
    for second in range(17, 24):
        desk.second(second, chain(after_s=second))
    told = [(event.was, event.now) for event in desk.changes()]
    assert told == [
        ("none", "databento/live"),
        ("databento/live", "barchart/cache"),
        ("barchart/cache", "databento/live"),
    ]
    assert {(event.source, event.stream, event.session) for event in desk.changes()} == {
        ("processor", PLAIN.key, "run")
    }
    assert desk.changes()[1].at == AS_OF + 16 * S
    assert desk.changes()[1].reason == "barchart/cache is the only eligible source"
    assert desk.changes()[2].at == AS_OF + 20 * S, "three seconds after it was back"


def test_quality_is_told_when_it_changes_once_a_minute_and_hourly_while_there_is_nothing_to_find() -> None:
    desk = Desk()
    for second in (0, 1, 60, 61, 3_600):
        desk.second(second, chain(after_s=second))
    assert [check.at for check in desk.checks()] == [AS_OF, AS_OF + 3_600 * S]
    for second in (3_601, 3_602, 3_660, 3_661):
        desk.second(second, with_columns(chain(after_s=second), ask=np.full(len(PLAIN.contracts), NULL)))
    assert [(check.at, check.verdict.errors) for check in desk.checks()[2:]] == [
        (AS_OF + 3_601 * S, 1),
        (AS_OF + 3_661 * S, 1),
    ]


def test_expiries_on_one_future_are_held_against_each_other() -> None:
    # What expires a week later is worth no more than what has an hour.
    cheap = on_surface(days=0.05)
    later = replace(cheap, expiry=PLAIN.expiry + 7 * 86_400 * S)
    told = {best.expiry: best.verdict for best in Desk().second(0.0, chain(), later)}
    assert told[later.expiry] is not None
    assert "36_calendar" in told[later.expiry].rules  # type: ignore[union-attr]
    assert "36_calendar" not in told[PLAIN.expiry].rules  # type: ignore[union-attr]


def test_what_the_calendar_says_is_told_with_its_evidence() -> None:
    later = replace(on_surface(days=0.05), expiry=PLAIN.expiry + 7 * 86_400 * S)
    desk = Desk()
    desk.second(0.0, chain(), later)
    findings = {check.chain: [each.rule for each in check.findings] for check in desk.checks()}
    assert "36_calendar" in findings[later.key]
    assert "36_calendar" not in findings[PLAIN.key]


def test_a_key_ends_with_its_expiry() -> None:
    desk = Desk()
    ends_s = (PLAIN.expiry - AS_OF) / S
    desk.second(ends_s - 1.0, chain(after_s=ends_s - 1.0))
    assert desk.best.keys == 1
    assert desk.second(ends_s) == []
    assert desk.best.keys == 0
    assert desk.second(ends_s + 1.0, chain(after_s=ends_s - 1.0)) == []


def test_another_worker_goes_on_where_the_first_one_was() -> None:
    first, second = Desk(), Desk()
    (best,) = first.second(0.0, chain(), chain("barchart", "cache"))
    assert best.selection is not None
    second.best.resume(0, best)
    assert second.second(2.0, chain(), chain("barchart", "cache")) == [], "it was told of already"
    (next_one,) = second.second(3.0, chain(after_s=3.0))
    assert next_one.selection is not None
    assert next_one.selection.since == best.selection.since
    assert second.changes() == []


def test_it_remembers_that_no_source_was_left() -> None:
    first, second = Desk(), Desk()
    first.second(0.0, chain())
    (last,) = first.second(16.0)
    second.best.resume(0, last)
    assert second.second(17.0) == []
    (back,) = second.second(18.0, chain(after_s=18.0))
    assert back.flags == ()
    assert [(event.was, event.now) for event in second.changes()] == [("none", "databento/live")]


@pytest.mark.parametrize(("kept", "keys"), [((0, 1), 1), ((1,), 0)])
def test_partitions_that_were_given_away_are_forgotten(kept: tuple[int, ...], keys: int) -> None:
    desk = Desk()
    desk.second(0.0, chain())
    desk.best.keep(kept)
    assert desk.best.keys == keys
