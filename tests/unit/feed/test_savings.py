"""Advice by the ledger's own figures: exact, nothing saved twice, and silence where figures are missing."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.feed.bills import (
    CHOICES,
    DAYS,
    END_NS,
    GIB,
    HOUR_NS,
    MBO,
    MONTH,
    QUOTES,
    STATISTICS,
    TRADES,
    USD,
    bought,
    metered,
    row,
    the_month,
)

from tapeline.feed.budget import Budgets
from tapeline.feed.cost_account import Choices, OfferedPlan
from tapeline.feed.costs import cost_report
from tapeline.feed.savings import Savings, find_savings
from tapeline.model.backfill import BackfillEvent
from tapeline.model.usage import SchemaUse, Usage

NOTHING = Choices()
REPLAY = Choices(replay_ns={"databento": 24 * HOUR_NS})


def find(usages: list[Usage], choices: Choices = NOTHING, events: list[BackfillEvent] | None = None) -> Savings:
    return find_savings(usages, events or [], choices, END_NS)


def saved(savings: Savings) -> dict[str, int]:
    return {advice.what: advice.saves_micro_usd for advice in savings.advice}


def test_a_month_of_280_dollars_is_brought_under_200() -> None:
    usages, events = the_month()
    report = cost_report(usages, Budgets(), END_NS)
    assert report.projected == 280_000_000
    savings = find(usages, CHOICES, events)
    assert saved(savings) == {
        "databento: take what is younger than 24 hours from the live replay, which the plan includes": 36_000_000,
        "databento: let all machines fetch history by one cache (TAPELINE_CACHE_DIR)": 16_000_000,
        "barchart: change to the plan Basic": 12_000_000,
        "databento/GLBX.MDP3/statistics: take it from barchart": 8_000_000,
        "barchart/barchart/quotes: stream only while GLBX.MDP3 trades": 5_078_113,
        "databento/GLBX.MDP3/mbo: fetch trades instead": 3_953_125,
    }
    assert savings.total_micro_usd == 81_031_238
    assert report.projected - savings.total_micro_usd == 198_968_762
    assert savings.missing == ()


def test_in_mid_month_advice_is_of_what_is_projected_and_adds_up() -> None:
    usages, events = the_month()
    at_ns = END_NS - 20 * 24 * HOUR_NS
    usages = [usage for usage in usages if usage.day <= f"{MONTH}-10"]
    savings = find_savings(usages, events, REPLAY, at_ns)
    # Seven windows by the tenth: 28 dollars in ten of 30 days.
    assert [advice.saves_micro_usd for advice in savings.advice] == [84_000_000]


def test_windows_within_reach_of_the_replay_are_told_and_others_are_not() -> None:
    usages = [metered(DAYS[4], MBO, 10 * USD, USD), metered(DAYS[4], MBO, USD, USD, source="other")]
    inside = bought(f"{DAYS[4]}T12:00", f"{DAYS[3]}T12:00", f"{DAYS[3]}T13:00", USD)
    outside = bought(f"{DAYS[4]}T12:00", f"{DAYS[3]}T11:59", f"{DAYS[3]}T13:00", 2 * USD)
    others = bought(f"{DAYS[4]}T12:00", f"{DAYS[4]}T11:00", f"{DAYS[4]}T11:30", USD, source="other")
    replayed = bought(f"{DAYS[4]}T12:00", f"{DAYS[4]}T10:00", f"{DAYS[4]}T10:30", USD, back_end="replay")
    before = bought("2026-10-30T12:00", "2026-10-30T11:00", "2026-10-30T11:30", USD)
    planned = replace_type(bought(f"{DAYS[4]}T12:00", f"{DAYS[4]}T08:00", f"{DAYS[4]}T08:30", USD), "estimated")
    savings = find(usages, REPLAY, [inside, outside, others, replayed, before, planned])
    assert list(saved(savings).values()) == [USD]
    assert "1 window " in savings.advice[0].why


def test_a_window_is_of_the_month_that_asked_for_it_however_late_its_proof_is() -> None:
    usages = [metered("2026-10-31", MBO, 20 * USD, USD), metered(DAYS[3], MBO, 5 * USD, USD)]
    event = bought("2026-10-31T20:00", "2026-10-31T14:00", "2026-10-31T18:00", 20 * USD, proven=f"{DAYS[0]}T21:00")
    october = find_savings(usages, [event], REPLAY, END_NS - 30 * 24 * HOUR_NS)
    assert list(saved(october).values()) == [20 * USD]
    assert october.missing == ()
    november = find(usages, REPLAY, [event])
    assert november.advice == ()
    assert "of $5.00 of metered use $5.00 was fetched by no backfill" in november.missing[0]


def test_what_was_bought_twice_is_told_where_all_of_it_was_there() -> None:
    usages = [metered(DAYS[9], MBO, 10 * USD, USD)]
    first = bought(f"{DAYS[9]}T01:00", "2026-11-01T00:00", "2026-11-01T06:00", USD)
    second = bought(f"{DAYS[9]}T02:00", "2026-11-01T06:00", "2026-11-01T12:00", USD)
    of_both = bought(f"{DAYS[9]}T03:00", "2026-11-01T05:00", "2026-11-01T07:00", 300_000)
    in_part = bought(f"{DAYS[9]}T04:00", "2026-11-01T11:00", "2026-11-01T13:00", 400_000)
    of_another = bought(f"{DAYS[9]}T05:00", "2026-11-01T05:00", "2026-11-01T07:00", 500_000, kind="trade")
    savings = find(usages, NOTHING, [of_another, in_part, of_both, second, first])
    assert list(saved(savings).values()) == [300_000]
    # Both sides are there, what is between them is not.
    apart = bought(f"{DAYS[9]}T02:00", "2026-11-01T07:00", "2026-11-01T12:00", USD)
    across = bought(f"{DAYS[9]}T03:00", "2026-11-01T05:00", "2026-11-01T08:00", 300_000)
    assert find(usages, NOTHING, [first, apart, across]).advice == ()


def test_what_the_replay_had_is_not_saved_again_by_a_cache() -> None:
    usages = [metered(DAYS[4], MBO, 10 * USD, USD)]
    whole = bought(f"{DAYS[4]}T12:00", f"{DAYS[4]}T06:00", f"{DAYS[4]}T10:00", USD)
    part = bought(f"{DAYS[4]}T13:00", f"{DAYS[4]}T07:00", f"{DAYS[4]}T09:00", USD)
    assert list(saved(find(usages, REPLAY, [whole, part])).values()) == [2 * USD]


def test_no_advice_saves_more_than_the_ledger_has() -> None:
    young = [bought(f"{DAYS[4]}T12:00", f"{DAYS[4]}T0{hour}:00", f"{DAYS[4]}T10:00", USD) for hour in range(5)]
    assert saved(find([metered(DAYS[4], MBO, 700_000, USD)], REPLAY, young)) == {
        "databento: take what is younger than 24 hours from the live replay, which the plan includes": 700_000
    }
    assert saved(find([row("databento", "flat", DAYS[4])], REPLAY, young)) == {}


def test_history_without_known_windows_is_said_to_be_unknown() -> None:
    savings = find([metered(DAYS[4], MBO, 3 * USD, USD)], REPLAY)
    assert savings.advice == ()
    assert "of $3.00 of metered use $3.00 was fetched by no backfill" in savings.missing[0]


def quotes(costs: dict[str, int]) -> list[Usage]:
    return [metered(day, QUOTES, cost, USD, source="barchart") for day, cost in costs.items()]


def test_hours_only_costs_what_the_open_hours_cost() -> None:
    streamed = Choices(streamed={"barchart": "GLBX.MDP3"})
    # Of Friday the 6th two hours are closed, of Saturday all: an hour of it costs 10,000.
    week = quotes({f"{MONTH}-06": 230_000, f"{MONTH}-07": 240_000})
    assert list(saved(find(week, streamed)).values()) == [240_000 + 2 * 10_000]
    # A day never costs less than nothing.
    week = quotes({f"{MONTH}-05": 240_000, f"{MONTH}-06": 15_000, f"{MONTH}-07": 240_000})
    assert list(saved(find(week, streamed)).values()) == [10_000 + 15_000 + 240_000]
    # Of two closed days one had nothing: the hours of the other days count for half.
    week = quotes({f"{MONTH}-06": 230_000, f"{MONTH}-07": 240_000, f"{MONTH}-14": 0})
    assert list(saved(find(week, streamed)).values()) == [240_000 + 2 * 5_000]


def test_whoever_streams_in_hours_only_is_not_told_to() -> None:
    streamed = Choices(streamed={"barchart": "GLBX.MDP3"})
    savings = find(quotes({f"{MONTH}-06": 240_000, f"{MONTH}-09": 240_000}), streamed)
    assert (savings.advice, savings.missing) == ((), ())
    savings = find(quotes({f"{MONTH}-05": 240_000, f"{MONTH}-06": 240_000}), streamed)
    assert savings.advice == ()
    assert "no day yet on which GLBX.MDP3 is closed whole" in savings.missing[0]


def test_the_day_that_is_not_over_counts_until_now() -> None:
    at_ns = END_NS + 1 - 23 * 24 * HOUR_NS - 12 * HOUR_NS  # Saturday the 7th, noon
    week = quotes({f"{MONTH}-06": 240_000, f"{MONTH}-07": 120_000})
    savings = find_savings(week, [], Choices(streamed={"barchart": "GLBX.MDP3"}), at_ns)
    assert savings.advice == ()
    assert "no day yet" in savings.missing[0]


def test_another_source_must_have_a_plan_in_the_ledger() -> None:
    choices = Choices(cheaper_sources={f"databento/{STATISTICS}": "barchart", "databento/X/y": "barchart"})
    usages = [metered(DAYS[4], STATISTICS, 3 * USD, USD)]
    savings = find(usages, choices)
    assert savings.advice == ()
    assert "barchart, which has no plan in the ledger" in savings.missing[0]
    usages.append(row("barchart", "flat", DAYS[4], fee_micro_usd_per_month=1))
    assert list(saved(find(usages, choices)).values()) == [3 * USD]


def test_a_smaller_schema_is_judged_by_bytes_and_prices_of_the_ledger() -> None:
    choices = Choices(cheaper_schemas={f"databento/{MBO}": "trades"})
    usages = [metered(DAYS[4], MBO, 3 * USD, USD)]
    assert [text.rpartition(":")[2] for text in find(usages, choices).missing] == [
        " no day on which it came together with trades, to compare their bytes",
        " the metered price of trades",
    ]
    both = {MBO: SchemaUse(1000, 1, 1), TRADES: SchemaUse(100, 1, 1)}
    usages += [row("databento", "flat", DAYS[4], schemas=both), metered(DAYS[5], TRADES, 0, 8 * USD + 1)]
    # 3 GiB of mbo are 0.3 GiB of trades: 2,400,000.3 micro-dollars, rounded up as a vendor would.
    assert saved(find(usages, choices)) == {"databento/GLBX.MDP3/mbo: fetch trades instead": 599_999}
    usages[-1] = metered(DAYS[5], TRADES, 0, 10 * USD)
    assert find(usages, choices).advice == ()


def flat(days: int, *schemas: str, fee: int = 179 * USD) -> list[Usage]:
    uses = {f"GLBX.MDP3/{schema}": SchemaUse(GIB, None, None) for schema in schemas}
    return [row("databento", "flat", day, fee_micro_usd_per_month=fee, schemas=uses) for day in DAYS[:days]]


PLANS = Choices(
    plans=(
        OfferedPlan("databento", "Tiny", 10 * USD, frozenset({"trades"})),
        OfferedPlan("databento", "Small", 40 * USD, frozenset({"trades", "mbp-1"})),
        OfferedPlan("databento", "All", 100 * USD, frozenset({"*"})),
        OfferedPlan("barchart", "Other", 1 * USD, frozenset({"*"})),
    )
)


def test_the_smallest_plan_that_includes_what_is_used() -> None:
    assert saved(find(flat(7, "trades"), PLANS)) == {"databento: change to the plan Tiny": 169 * USD}
    assert saved(find(flat(7, "trades", "mbp-1"), PLANS)) == {"databento: change to the plan Small": 139 * USD}
    assert saved(find(flat(7, "mbo"), PLANS)) == {"databento: change to the plan All": 79 * USD}
    assert saved(find(flat(7, "mbo", fee=100 * USD), PLANS)) == {}
    assert "6 days of its use" in find(flat(6, "mbo"), PLANS).missing[0]
    assert "TAPELINE_COSTS_PLANS" in find(flat(7, "mbo")).missing[0]


def test_a_plan_that_nothing_comes_of_is_to_end() -> None:
    assert saved(find(flat(7))) == {"databento: end the plan": 179 * USD}
    asked = [replace(usage, requests=1) for usage in flat(7)]
    assert find(asked).advice == ()
    assert find([*flat(7), metered(DAYS[3], MBO, USD, USD)]).advice == ()


def test_no_plan_is_advised_that_lacks_what_other_advice_relies_on() -> None:
    young = bought(f"{DAYS[4]}T12:00", f"{DAYS[4]}T06:00", f"{DAYS[4]}T07:00", USD)
    usages = [*flat(7, "trades"), metered(DAYS[4], MBO, USD, USD)]
    both = replace(PLANS, replay_ns=REPLAY.replay_ns)
    assert "databento: change to the plan All" in saved(find(usages, both, [young]))


def test_a_cost_that_is_not_known_is_said_to_be_missing() -> None:
    usages = [row("databento", "metered", DAYS[4], schemas={MBO: SchemaUse(56, None, None)})]
    assert find(usages).missing == ("databento/GLBX.MDP3/mbo: the cost of metered use; it is in no sum",)


@given(
    st.lists(st.tuples(st.sampled_from(DAYS), st.sampled_from((MBO, TRADES, STATISTICS)), st.integers(0, 10**9))),
    st.lists(st.tuples(st.integers(1, 28), st.integers(0, 20), st.integers(1, 3), st.integers(0, 10**9)), max_size=8),
    st.integers(0, 29),
)
def test_all_advice_together_never_saves_more_than_is_owed(
    uses: list[tuple[str, str, int]], windows: list[tuple[int, int, int, int]], days: int
) -> None:
    usages, _ = the_month()
    usages = [usage for usage in usages if usage.line != "metered" or usage.source == "barchart"]
    usages += [metered(day, name, cost, USD, meter=str(n)) for n, (day, name, cost) in enumerate(uses)]
    events = [
        bought(
            f"{MONTH}-{day + 1:02}T12:00", f"{MONTH}-{day:02}T{hour:02}:00", f"{MONTH}-{day:02}T{hour + n:02}:00", cost
        )
        for day, hour, n, cost in windows
    ]
    at_ns = END_NS - days * 24 * HOUR_NS
    savings = find_savings(usages, events, CHOICES, at_ns)
    assert all(advice.saves_micro_usd > 0 for advice in savings.advice)
    assert savings.total_micro_usd <= cost_report(usages, Budgets(), at_ns).projected


def replace_type(event: BackfillEvent, kind: str) -> BackfillEvent:
    return event.model_copy(update={"type": kind})
