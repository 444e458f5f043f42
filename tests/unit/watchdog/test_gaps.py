"""The ledger of gaps and coverage over scripted days: what is missing, what is asked for, what was proven."""

from __future__ import annotations

from typing import Any, Final

import pytest
from tests.unit.watchdog.feeding import S, beat, by_stream, ns, told

from tapeline.errors import BadData
from tapeline.model.backfill import BackfillEvent, BackfillRequest, request_id
from tapeline.model.control import Interval
from tapeline.model.coverage import Coverage
from tapeline.model.events import FeedEvent
from tapeline.model.frames import Gap
from tapeline_watchdog.feeds import FeedKey
from tapeline_watchdog.gap_requests import Asking, KnownGap
from tapeline_watchdog.gaps import GapLedger

KEY: Final = FeedKey("databento", "GLBX.MDP3/NQ.FUT", "mbo")
DAY: Final = "2026-11-24"
NINE: Final = ns("2026-11-24 09:00")
ASKING: Final = Asking(frozenset({"databento"}), settle_ns=5 * S, pre_open_ns=3_600 * S, cap_micro_usd=2_000_000)


class Script:
    """A producer that beats once a second, and the ledger that hears of it at once. `at` is now, in ns."""

    def __init__(self, at: int = NINE, key: FeedKey = KEY, **asking: Any) -> None:
        self.at = at
        self.key = key
        self.session, self.epoch = "s1", 1
        self.log: list[FeedEvent | BackfillRequest | BackfillEvent] = []
        self.asking = Asking(**({name: getattr(ASKING, name) for name in ASKING.__slots__} | asking))
        self.ledger = self.new_ledger()

    def new_ledger(self) -> GapLedger:
        return GapLedger(by_stream, self.asking)

    def put(self, event: FeedEvent | BackfillRequest | BackfillEvent) -> None:
        self.log.append(event)
        take(self.ledger, event)

    def connect(self, session: str) -> None:
        self.session, self.epoch = session, self.epoch + 1
        self.put(told("connected", self.key, self.at, session=session, epoch=self.epoch))

    def beat(self, until: int, *, ticks: bool = True, step_s: int = 60) -> None:
        while self.at < until:
            self.at = min(self.at + step_s * S, until)
            self.beat_once(self.at if ticks else None)

    def beat_once(self, ts_event: int | None, **fields: Any) -> None:
        of = {"session": self.session, "epoch": self.epoch, "ts_event": ts_event}
        self.put(beat(self.key, self.at, 1, **(of | fields)))

    def lose(self, name: str, begin: int | None, *symbols: str) -> None:
        gap = Gap(name, "open", (self.key.kind,), symbols or ("*",), "the line broke", ts_event_from=begin)
        self.put(told("gap_opened", self.key, self.at, gap=gap, session=self.session, epoch=self.epoch))

    def bound(self, name: str, begin: int | None, end: int | None, *symbols: str) -> None:
        gap = Gap(name, "bounded", (self.key.kind,), symbols or ("*",), "the line broke", begin, end)
        self.put(told("gap_closed", self.key, self.at, gap=gap, session=self.session, epoch=self.epoch))

    def ask(self, after_s: int = 5) -> list[BackfillRequest]:
        self.at += after_s * S
        requests = self.ledger.due_requests("tapeline-watchdog", self.at)
        for request in requests:
            self.put(request)
        return requests

    def tell(self, kind: Any, request: BackfillRequest, **fields: Any) -> None:
        self.put(BackfillEvent(type=kind, request=request, at=self.at, **fields))

    def gap(self, name: str) -> KnownGap:
        return self.gaps()[name]

    def gaps(self, ledger: GapLedger | None = None) -> dict[str, KnownGap]:
        return {gap.id: gap for gap, _ in (ledger or self.ledger).report(self.at).gaps}

    def days(self, ledger: GapLedger | None = None) -> dict[str, Coverage]:
        """Return what is told of every day, as of now."""
        ledger = ledger or self.ledger
        ledger.due_coverage(self.at)
        return {day: told.model_copy(update={"at": 0}) for (_, day), told in sorted(ledger.told.items())}


def take(ledger: GapLedger, event: FeedEvent | BackfillRequest | BackfillEvent) -> None:
    match event:
        case FeedEvent():
            ledger.take(event, event.at)
        case BackfillRequest():
            ledger.take_request(event)
        case BackfillEvent():
            ledger.take_backfill(event)


def spans(intervals: tuple[Interval, ...], since: int = NINE) -> list[tuple[float, float]]:
    """Return intervals in seconds since then."""
    return [((each.ts_event_from - since) / S, (each.ts_event_until - since) / S) for each in intervals]


def outage(script: Script, name: str = "g1", begin_s: int = 600, end_s: int = 690) -> None:
    """Beat from nine o'clock on, lose the line, and be live again without a replay, until half past nine."""
    script.connect("s1")
    script.beat(NINE + begin_s * S)
    script.at = NINE + end_s * S
    script.connect("s2")
    script.lose(name, NINE + begin_s * S)
    script.bound(name, NINE + begin_s * S, NINE + end_s * S - 1)
    script.beat(NINE + 1_800 * S)


def test_a_gap_is_asked_for_once_then_filled_then_proven() -> None:
    script = Script()
    script.connect("s1")
    script.beat(NINE + 600 * S)
    script.lose("g1", NINE + 600 * S)
    assert script.gap("g1").stage == "open"
    assert not script.ask()
    script.bound("g1", NINE + 600 * S, NINE + 690 * S - 1)
    assert script.gap("g1").stage == "bounded"
    # Read once more.
    script.lose("g1", NINE + 600 * S)
    assert script.gap("g1").stage == "bounded"
    assert not script.ask(after_s=4)
    [request] = script.ask(after_s=1)
    assert request.window == Interval(ts_event_from=NINE + 600 * S, ts_event_until=NINE + 690 * S)
    assert (request.gap_id, request.cost_cap_micro_usd, request.symbols) == ("g1", 2_000_000, ("*",))
    assert request.id == request_id("databento", "GLBX.MDP3", KEY.stream, "mbo", ("*",), request.window)
    assert script.gap("g1").stage == "requested"
    assert not script.ask(after_s=3_600)
    for kind in ("accepted", "estimated", "started", "progress", "failed"):
        script.tell(kind, request)
        assert script.gap("g1").stage == "requested"
    script.beat(NINE + 7_200 * S)
    assert spans(script.days()[DAY].covered) == [(0, 600), (690, 7_200)]
    assert [part.stage for part in script.days()[DAY].missing] == ["requested"]
    script.tell("completed", request, read=10, published=9, skipped=1)
    assert script.gap("g1").stage == "filled"
    assert spans(script.days()[DAY].covered) == [(0, 7_200)]
    assert [part.stage for part in script.days()[DAY].missing] == ["filled"]
    script.tell("proven", request, read=10, counted=10)
    assert script.gap("g1").stage == "proven"
    assert script.days()[DAY].missing == ()
    script.tell("recomputed", request, read=10, counted=10, revised_rows=3)
    assert script.gap("g1").stage == "proven"
    assert not script.ask(after_s=86_400)


def test_a_filled_gap_that_the_vendor_counts_otherwise_is_not_proven() -> None:
    script = Script()
    outage(script)
    [request] = script.ask()
    script.tell("recomputed", request, read=10, counted=11, revised_rows=3)
    assert script.gap("g1").stage == "filled"


def test_two_gaps_of_a_day_are_two_requests() -> None:
    script = Script()
    outage(script)
    script.lose("g2", script.at)
    script.bound("g2", script.at, script.at + 30 * S)
    first, second = script.ask(after_s=60)
    assert (first.gap_id, second.gap_id) == ("g1", "g2")
    assert first.id != second.id
    script.tell("proven", second)
    script.beat(NINE + 3_600 * S)
    assert spans(script.days()[DAY].covered) == [(0, 600), (690, 3_600)]
    assert [part.gap_id for part in script.days()[DAY].missing] == ["g1"]


def test_gaps_of_symbols_that_overlap_are_each_missing_until_filled() -> None:
    script = Script()
    script.connect("s1")
    script.lose("h4", NINE + 100 * S, "NQH4")
    script.lose("m4", NINE + 150 * S, "NQM4", "NQU4")
    script.beat(NINE + 600 * S)
    assert spans(script.days()[DAY].covered) == [(0, 100)]
    script.bound("h4", NINE + 100 * S, NINE + 200 * S - 1, "NQH4")
    script.bound("m4", NINE + 150 * S, NINE + 300 * S - 1, "NQM4", "NQU4")
    assert spans(script.days()[DAY].covered) == [(0, 100), (300, 600)]
    of_h4, of_m4 = script.ask()
    assert of_m4.symbols == ("NQM4", "NQU4")
    script.tell("completed", of_h4)
    # The others are missing there still.
    assert spans(script.days()[DAY].covered) == [(0, 150), (300, 600)]
    # That a symbol had nothing does not say so of the stream.
    script.tell("proven", of_m4, proven_empty=True)
    assert spans(script.days()[DAY].covered) == [(0, 600)]
    assert script.days()[DAY].proven_empty == ()


def test_whoever_asks_for_more_fills_a_gap_as_well() -> None:
    script = Script()
    outage(script)
    for kind, symbols, stage in (("l1", ("*",), "bounded"), ("mbo", ("NQH4",), "bounded"), ("mbo", ("*",), "proven")):
        script.tell("proven", by_hand(script, NINE, NINE + 700 * S, kind, symbols), read=1, counted=1)
        assert script.gap("g1").stage == stage
    assert not script.ask()


def test_of_two_requests_for_a_gap_the_one_that_is_further_counts() -> None:
    script = Script()
    outage(script)
    [request] = script.ask()
    script.tell("completed", by_hand(script, NINE, NINE + 700 * S))
    assert script.gap("g1").stage == "filled"
    script.tell("rejected", request, reason="it is there")
    assert script.gap("g1").stage == "filled"


def by_hand(
    script: Script, begin: int, end: int, kind: str = "mbo", symbols: tuple[str, ...] = ("*",)
) -> BackfillRequest:
    of = ("databento", "GLBX.MDP3", KEY.stream, kind, symbols, Interval(ts_event_from=begin, ts_event_until=end))
    fields: dict[str, Any] = dict(zip(("source", "dataset", "stream", "kind", "symbols", "window"), of, strict=True))
    return BackfillRequest(id=request_id(*of), requested_by="somebody", requested_at=script.at, **fields)


def test_a_gap_over_midnight_and_two_trading_days_is_one_request() -> None:
    begin, end = ns("2026-11-23 19:30"), ns("2026-11-24 21:30")
    script = Script(ns("2026-11-23 19:00"))
    script.connect("s1")
    script.beat(begin)
    script.at = end
    script.connect("s2")
    script.lose("g1", begin)
    [open_part] = script.days()["2026-11-23"].missing
    assert (open_part.stage, open_part.ts_event_from, open_part.ts_event_until) == ("open", begin, None)
    script.bound("g1", begin, end - 1)
    script.beat(end + 60 * S)
    days = script.days()
    close = ns("2026-11-23 22:00")
    assert list(days) == ["2026-11-23", "2026-11-24"]
    parts = [(part.ts_event_from, part.ts_event_until) for day in days.values() for part in day.missing]
    assert parts == [(begin, close), (close, end)]
    [request] = script.ask()
    assert request.window == Interval(ts_event_from=begin, ts_event_until=end)
    script.tell("proven", request)
    assert [day.missing for day in script.days().values()] == [(), ()]
    assert [spans(day.covered, begin) for day in script.days().values()] == [[(-1_800, 9_000)], [(9_000, 93_660)]]


@pytest.mark.parametrize("kind", ["rejected", "dead_lettered", "cancelled"])
def test_a_gap_is_given_up_with_the_reason_until_somebody_asks_again(kind: str) -> None:
    script = Script()
    outage(script)
    [request] = script.ask()
    script.tell(kind, request, reason="above the cap")
    gap = script.gap("g1")
    assert (gap.stage, gap.given_up, gap.reason) == ("given_up", f"{kind}: above the cap", "the line broke")
    [part] = script.days()[DAY].missing
    assert (part.stage, part.given_up, part.request_id) == ("given_up", f"{kind}: above the cap", request.id)
    assert spans(script.days()[DAY].covered) == [(0, 600), (690, 1_800)]
    assert not script.ask(after_s=3_600)
    script.put(request.model_copy(update={"requested_at": script.at + S, "requested_by": "somebody"}))
    assert script.gap("g1").stage == "requested"
    script.tell("completed", request)
    assert script.gap("g1").stage == "filled"


@pytest.mark.parametrize(
    ("begin", "end", "why"),
    [
        (None, NINE + 690 * S, "it is not known where it begins"),
        (NINE, None, "it is not known where it ends"),
        (NINE + 700 * S, NINE + 690 * S, "it ends before it begins"),
    ],
)
def test_a_gap_without_usable_bounds_is_named_and_not_asked_for(begin: int | None, end: int | None, why: str) -> None:
    script = Script()
    script.lose("g1", begin)
    script.bound("g1", begin, end)
    assert not script.ask(after_s=3_600)
    assert (script.gap("g1").stage, script.gap("g1").given_up) == ("given_up", f"cannot be asked for: {why}")
    assert [part.given_up for part in script.days()[DAY].missing] == [f"cannot be asked for: {why}"]


def test_what_no_vendor_can_bring_is_given_up() -> None:
    script = Script(sources=frozenset({"saved"}))
    outage(script)
    assert not script.ask()
    assert script.gap("g1").given_up == "gaps of databento are not asked for: it cannot be backfilled"


def test_a_gap_of_closed_market_is_empty_and_not_asked_for() -> None:
    # From Friday's close until two hours before Sunday's open.
    begin, end = ns("2026-11-20 22:00"), ns("2026-11-22 21:00")
    script = Script(end)
    script.lose("g1", begin)
    script.bound("g1", begin, end - 1)
    assert not script.ask(after_s=3_600)
    assert script.gap("g1").stage == "proven"
    days = script.days()
    assert [interval for day in days.values() for interval in spans(day.proven_empty, begin)] == [
        (0, (end - begin) / S)
    ]
    # Orders come before the open, and settlements after the close.
    script.bound("g2", begin, ns("2026-11-22 22:30"))
    [request] = script.ask()
    assert request.gap_id == "g2"
    statistics = Script(end, FeedKey("databento", KEY.stream, "statistics"))
    statistics.bound("g1", begin, end - 1)
    assert len(statistics.ask()) == 1


def test_a_window_that_the_vendor_has_nothing_of_is_proven_empty() -> None:
    script = Script()
    outage(script)
    [request] = script.ask()
    script.tell("completed", request, proven_empty=True)
    script.tell("proven", request, proven_empty=True)
    assert script.gap("g1").stage == "proven"
    told = script.days()[DAY]
    assert (spans(told.covered), spans(told.proven_empty)) == ([(0, 600), (690, 1_800)], [(600, 690)])


def test_a_session_covers_from_its_connection_and_goes_on_where_the_last_one_ended() -> None:
    script = Script()
    script.connect("s1")
    script.at += 50 * S
    script.beat_once(None)
    assert script.days() == {}
    script.beat_once(NINE + 49 * S)
    assert spans(script.days()[DAY].covered) == [(0, 49)]
    # Replayed: the first thing that is heard of it is past what was missed.
    script.at += 60 * S
    script.connect("s2")
    script.beat_once(NINE + 105 * S)
    assert spans(script.days()[DAY].covered) == [(0, 105)]
    # A producer that was taken over from has no say.
    script.beat_once(NINE + 900 * S, epoch=1, session="s0")
    assert spans(script.days()[DAY].covered) == [(0, 105)]


def test_a_file_that_was_played_to_its_end_is_not_continued_by_the_next_one() -> None:
    script = Script(ns("2026-11-24 20:00"))
    script.connect("s1")
    for second in (0, 100):
        script.beat_once(NINE + second * S)
    script.put(told("disconnected", KEY, script.at, session="s1", epoch=script.epoch, reason="end of data"))
    script.connect("s2")
    for second in (500, 700):
        script.beat_once(NINE + second * S)
    assert spans(script.days()[DAY].covered) == [(0, 100), (500, 700)]
    script.tell("completed", by_hand(script, NINE + 100 * S, NINE + 500 * S))
    assert spans(script.days()[DAY].covered) == [(0, 700)]


@pytest.mark.parametrize("margin_s", [600, 100_000])
def test_a_restart_anywhere_gives_the_same_ledger(margin_s: int) -> None:
    script = Script(ns("2026-11-23 19:00"))
    script.connect("s0")
    script.beat(ns("2026-11-23 21:00"), step_s=900)
    script.at = NINE
    script.connect("s1")
    script.lose("g0", ns("2026-11-23 21:00"))
    script.bound("g0", ns("2026-11-23 21:00"), NINE + 10 * S)
    script.beat(NINE + 600 * S)
    script.lose("g1", NINE + 600 * S, "NQH4")
    script.beat(NINE + 700 * S)
    script.bound("g1", NINE + 600 * S, NINE + 700 * S, "NQH4")
    first, second = script.ask()
    script.tell("started", first)
    script.beat(NINE + 1_000 * S)
    script.tell("completed", second)
    script.tell("rejected", first, reason="above the cap")
    script.lose("g2", NINE + 990 * S)
    script.beat(NINE + 2_000 * S)
    script.bound("g2", NINE + 990 * S, NINE + 1_000 * S)
    script.tell("proven", second)
    script.beat(NINE + 3_000 * S)
    end, kept = script.at, script.days()
    assert {gap.id: gap.stage for gap in script.gaps().values()} == {"g0": "given_up", "g1": "proven", "g2": "bounded"}
    log = script.log
    for cut in range(0, len(log), 3):
        before = script.new_ledger()
        for event in log[:cut]:
            take(before, event)
        at = 0 if cut == 0 else at_of(log[cut - 1])
        before.due_coverage(at)
        again = script.new_ledger()
        for told_day in before.told.values():
            again.restore(Coverage.decode(told_day.encode()))
        requests = [event for event in log if isinstance(event, BackfillRequest | BackfillEvent)]
        for event in requests:
            take(again, event)
        again.restored()
        for event in log:
            if isinstance(event, FeedEvent) and event.at >= at - margin_s * S:
                take(again, event)
        again.due_coverage(end)
        assert script.days(again) == kept, f"restarted after {cut} events"
        assert stages_of(script.gaps(again)) == stages_of(script.gaps())
        assert [request.gap_id for request in again.due_requests("w", end + 10 * S)] == ["g2"]


def test_what_was_brought_by_hand_is_covered_as_long_as_that_holds() -> None:
    script = Script()
    script.connect("s1")
    script.beat(NINE + 600 * S)
    begin, end = NINE - 1_800 * S, NINE + 300 * S
    script.tell("completed", request := by_hand(script, begin, end))
    brought = script.days()
    assert spans(brought[DAY].covered) == [(-1_800, 600)]
    assert spans(brought[DAY].backfilled) == [(-1_800, 0)]
    script.ledger.forget(end + 60 * S)
    assert script.days() == brought
    for ending in ("failed", "dead_lettered"):
        script.tell(ending, request, read=400, counted=403)
        kept = script.days()
        assert (spans(kept[DAY].covered), kept[DAY].backfilled) == ([(0, 600)], ())
        # A watchdog that was away meanwhile says the same, though only the last event is left.
        again = script.new_ledger()
        again.restore(brought[DAY])
        take(again, script.log[-1])
        again.restored()
        assert script.days(again) == kept


def stages_of(gaps: dict[str, KnownGap]) -> dict[str, object]:
    return {name: (gap.stage, gap.window, gap.symbols, gap.reason, gap.given_up) for name, gap in gaps.items()}


def at_of(event: FeedEvent | BackfillRequest | BackfillEvent) -> int:
    return event.requested_at if isinstance(event, BackfillRequest) else event.at


def test_of_a_day_is_told_when_it_changed_and_seldom_when_it_only_grew() -> None:
    script = Script()
    script.ledger = ledger = GapLedger(by_stream, ASKING, interval_ns=5 * S)
    script.connect("s1")
    script.beat(NINE + 10 * S, step_s=1)
    assert len(ledger.due_coverage(script.at)) == 1
    script.beat(NINE + 60 * S, step_s=1)
    assert ledger.due_coverage(script.at) == []
    script.beat(NINE + 71 * S, step_s=1)
    assert len(ledger.due_coverage(script.at)) == 1
    script.lose("g1", script.at)
    assert ledger.due_coverage(script.at) == []
    [told_day] = ledger.due_coverage(script.at + 5 * S)
    assert [part.gap_id for part in told_day.missing] == ["g1"]
    assert ledger.due_coverage(script.at + 500 * S) == []


def test_old_days_are_forgotten_but_not_what_is_awaited() -> None:
    script = Script()
    outage(script)
    [request] = script.ask()
    script.tell("proven", request)
    script.lose("g2", script.at)
    script.days()
    script.at += 40 * 86_400 * S
    script.beat_once(script.at)
    script.ledger.forget(script.at - 35 * 86_400 * S)
    assert set(script.gaps()) == {"g2"}
    script.bound("g2", NINE + 1_800 * S, NINE + 1_900 * S)
    # What was told of its day must not be replaced by less.
    assert DAY not in script.days()
    assert [request.gap_id for request in script.ask()] == ["g2"]


def test_times_outside_the_calendar_are_refused_and_leave_no_trace() -> None:
    script = Script()
    outage(script)
    before = script.days()
    far = ns("2090-01-01 00:00")
    for attempt in (
        lambda: script.beat_once(far),
        lambda: script.bound("g2", NINE, far),
        lambda: script.tell("completed", by_hand(script, NINE, far)),
    ):
        with pytest.raises(BadData):
            attempt()
    assert script.days() == before
    assert set(script.gaps()) == {"g1"}
    assert [request.gap_id for request in script.ask()] == ["g1"]
