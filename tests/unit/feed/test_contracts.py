"""What a producer says of its instruments: each once a day, and which contracts have quoted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import databento_dbn as dbn
import numpy as np
import pytest
from tests.unit.feed.definition_builders import AT, EXPIRY, HOUR, option, records, spread

from tapeline.feed.calendar import cme_globex_equity
from tapeline.feed.contracts import MOST_AT_ONCE, Contracts, announcement
from tapeline.feed.framer import Instrument as FrameInstrument
from tapeline.feed.framer import Ticks
from tapeline.feed.source import Announcement
from tapeline.model.columns import TickKind
from tapeline.model.frames import Array
from tapeline.model.instrument_codec import decode_instrument
from tapeline.model.instruments import Instrument
from tapeline.model.quality import ContractCompleteness, decode_quality
from tapeline.quality.parents import ParentCheck

MINUTE = 60_000_000_000
CLOSE = EXPIRY + HOUR
OPEN = CLOSE + HOUR
LATER = EXPIRY + 72 * HOUR
STREAM = "GLBX.MDP3/Q4B.OPT"


def made(*parents: str, now_ns: int = AT) -> Contracts:
    return Contracts("databento", "GLBX.MDP3", parents or ("Q4B.OPT",), cme_globex_equity(), now_ns)


def instruments(announcements: Sequence[Announcement]) -> list[Instrument]:
    found = [decode_instrument(each.value) for each in announcements if each.topic == "md.instruments.v1"]
    assert [instrument.key for instrument in found] == [
        each.key for each in announcements if each.topic == "md.instruments.v1"
    ]
    return found


def reports(announcements: Sequence[Announcement]) -> list[ContractCompleteness]:
    found = [decode_quality(each.value) for each in announcements if each.topic == "md.quality.v1"]
    assert [each.key for each in announcements if each.topic == "md.quality.v1"] == [event.stream for event in found]
    return found


def define(contracts: Contracts, *messages: dbn.InstrumentDefMsg, now_ns: int = AT) -> list[Instrument]:
    news = contracts.define(records(*messages), now_ns)
    assert instruments([announcement(instrument) for instrument in news]) == news
    return news


def quotes(
    *ids: int,
    kind: TickKind = "l1",
    stream: str = STREAM,
    at_ns: int | Sequence[int] = AT,
    action: str = "A",
    undefined: dict[str, Array] | None = None,
) -> Ticks:
    columns = {
        "ts_recv": np.full(len(ids), at_ns, dtype=np.int64),
        "action": np.frombuffer((action * len(ids))[: len(ids)].encode(), dtype=np.uint8),
    }
    return Ticks(
        stream=stream,
        dataset="GLBX.MDP3",
        publisher_id=1,
        kind=kind,
        instrument_ids=np.array(ids, dtype=np.int64),
        columns=columns,
        undefined=undefined or {},
        directory={each: FrameInstrument(str(each), "C") for each in ids},
        origin="live",
    )


# -- instruments -----------------------------------------------------------------------------------------------------


def test_an_instrument_is_announced_once_however_often_its_definition_comes() -> None:
    contracts = made()
    first = define(contracts, option(1), option(2), *spread(3, 2))
    assert [each.instrument_id for each in first] == [1, 2, 3]
    assert {each.trading_day for each in first} == {"2026-11-24"}
    assert first[2].user_defined
    assert define(contracts, option(1), option(2), *spread(3, 2)) == []
    assert define(contracts, option(1, ts_recv=AT + 5)) == []


def test_a_change_is_announced_and_what_was_before_it_never_again() -> None:
    contracts = made()
    define(contracts, option(1))
    changed = option(1, ts_recv=AT + 5, expiration=EXPIRY + HOUR, security_update_action="M")
    (announced,) = define(contracts, changed)
    assert (announced.update_action, announced.expiry) == ("M", EXPIRY + HOUR)
    deleted = option(1, ts_recv=AT + 9, security_update_action="D")
    assert [each.update_action for each in define(contracts, deleted)] == ["D"]
    assert define(contracts, option(1), changed, deleted) == []


def test_what_expired_before_the_trading_day_is_not_announced() -> None:
    contracts = made()
    yesterday, earlier_today = EXPIRY - 24 * HOUR, AT - HOUR
    assert define(contracts, option(1, expiration=yesterday)) == []
    assert [each.expiry for each in define(contracts, option(2, expiration=earlier_today))] == [earlier_today]


def test_on_a_new_trading_day_what_is_still_valid_is_announced_again() -> None:
    contracts = made()
    gone = option(2, expiration=LATER, security_update_action="D")
    define(contracts, option(1), gone, option(3, expiration=LATER), *spread(4, 2, expiration=LATER))
    assert instruments(contracts.due(CLOSE - 1)) == []
    again = instruments(contracts.due(CLOSE))
    assert [(each.instrument_id, each.trading_day) for each in again] == [(3, "2026-11-25"), (4, "2026-11-25")]
    assert again[1].legs is not None
    assert instruments(contracts.due(CLOSE + 1)) == []
    assert define(contracts, option(3, expiration=LATER), now_ns=CLOSE + 2) == []


def test_many_instruments_are_announced_again_in_portions() -> None:
    contracts = made()
    define(contracts, *(option(each, expiration=LATER) for each in range(MOST_AT_ONCE + 7)))
    portions = [instruments(contracts.due(CLOSE))]
    # One that is defined anew before its turn comes needs no turn.
    renewed = define(contracts, option(MOST_AT_ONCE + 1, expiration=LATER + HOUR, ts_recv=CLOSE), now_ns=CLOSE)
    portions += [instruments(contracts.due(CLOSE + each)) for each in (1, 2)]
    assert [len(portion) for portion in portions] == [MOST_AT_ONCE, 6, 0]
    ids = [each.instrument_id for portion in portions for each in portion]
    assert sorted([*ids, renewed[0].instrument_id]) == list(range(MOST_AT_ONCE + 7))


# -- completeness ----------------------------------------------------------------------------------------------------


def test_completeness_is_told_after_a_minute_and_then_on_change_only() -> None:
    contracts = made()
    define(contracts, option(1), option(2), *spread(3, 2))
    contracts.quote(quotes(1, 3, 1))
    assert contracts.due(AT + MINUTE - 1) == []
    (report,) = reports(contracts.due(AT + MINUTE))
    assert report == ContractCompleteness(
        source="databento",
        stream=STREAM,
        trading_day="2026-11-24",
        since=AT,
        at=AT + MINUTE,
        final=False,
        expected=2,
        quoted=1,
        missing=1,
        missing_symbols=("Q4BX6 C25100",),
        unlisted=0,
        unlisted_ids=(),
        user_defined=1,
    )
    contracts.quote(quotes(1, 1))
    assert contracts.due(AT + 2 * MINUTE) == []
    contracts.quote(quotes(2))
    assert contracts.due(AT + 3 * MINUTE - 1) == []
    (report,) = reports(contracts.due(AT + 3 * MINUTE))
    assert (report.expected, report.quoted, report.missing) == (2, 2, 0)


def test_a_strike_listed_during_the_day_is_expected_and_an_expired_one_no_more() -> None:
    contracts = made()
    define(contracts, option(1))
    contracts.quote(quotes(1))
    assert [report.expected for report in reports(contracts.due(AT + MINUTE))] == [1]
    define(contracts, option(2, strike=26_000, ts_recv=AT + MINUTE), now_ns=AT + MINUTE)
    (report,) = reports(contracts.due(AT + 2 * MINUTE))
    assert report.missing_symbols == ("Q4BX6 C26000",)
    assert [report.expected for report in reports(contracts.due(EXPIRY))] == [0]


def test_the_trading_day_ends_with_its_last_word() -> None:
    contracts = made()
    define(contracts, option(1, expiration=LATER), option(2))
    (last,) = reports(contracts.due(CLOSE + MINUTE))
    assert (last.trading_day, last.at, last.final) == ("2026-11-24", CLOSE, True)
    assert (last.expected, last.missing) == (1, 1)
    # The market is closed for an hour; a minute after it opens, the new day is told.
    assert reports(contracts.due(OPEN - 1)) == []
    assert reports(contracts.due(OPEN)) == []
    (report,) = reports(contracts.due(OPEN + MINUTE))
    assert (report.trading_day, report.since, report.expected, report.final) == ("2026-11-25", CLOSE + MINUTE, 1, False)


def test_nothing_is_told_of_a_stream_without_definitions_or_quotes() -> None:
    contracts = made("Q4B.OPT", "Q5A.OPT")
    define(contracts, option(1, expiration=LATER))
    said = [*reports(contracts.due(AT + MINUTE)), *reports(contracts.due(CLOSE))]
    assert [report.stream for report in said] == [STREAM, STREAM]


def test_each_stream_is_told_by_itself() -> None:
    contracts = made("Q4B.OPT", "NQ.OPT")
    define(contracts, option(1), option(2, asset="NQ"))
    assert [report.stream for report in reports(contracts.due(AT + MINUTE))] == [STREAM, "GLBX.MDP3/NQ.OPT"]
    contracts.quote(quotes(2, stream="GLBX.MDP3/NQ.OPT"))
    assert [report.stream for report in reports(contracts.due(AT + 2 * MINUTE))] == ["GLBX.MDP3/NQ.OPT"]


@pytest.mark.parametrize(
    "ticks",
    [
        quotes(1, kind="trade"),
        quotes(1, stream="GLBX.MDP3/NQ.OPT"),
        quotes(1, action="R"),
        quotes(1, at_ns=AT - 48 * HOUR),
        quotes(1, at_ns=CLOSE),
        quotes(1, undefined={"bid_price": np.array([0]), "ask_price": np.array([0])}),
    ],
    ids=["a trade", "another stream", "a cleared book", "the day before", "the day after", "an empty book"],
)
def test_what_is_no_quote_of_the_day_does_not_count(ticks: Ticks) -> None:
    contracts = made()
    define(contracts, option(1))
    contracts.quote(ticks)
    (report,) = reports(contracts.due(AT + MINUTE))
    assert (report.quoted, report.missing, report.unlisted) == (0, 1, 0)


def test_the_rows_beside_them_do_count() -> None:
    contracts = made()
    define(contracts, *map(option, range(1, 7)))
    contracts.quote(quotes(1, 2, action="RA"))
    contracts.quote(quotes(3, 4, at_ns=[AT - 48 * HOUR, AT]))
    undefined = {"bid_price": np.array([0, 1]), "ask_price": np.array([1])}
    contracts.quote(quotes(5, 6, undefined=undefined))
    contracts.quote(quotes(6, kind="mbo", action="R"))
    (report,) = reports(contracts.due(AT + MINUTE))
    assert (report.quoted, report.unlisted) == (3, 0)


def test_quotes_without_definition_are_told() -> None:
    contracts = made()
    contracts.quote(quotes(9))
    (report,) = reports(contracts.due(AT + MINUTE))
    assert (report.expected, report.unlisted, report.unlisted_ids) == (0, 1, (9,))


def test_parents_are_checked_against_the_definitions_once_a_day() -> None:
    contracts = made("Q4B.OPT", "Q5B.OPT")
    assert contracts.parents_due(AT + MINUTE) is None
    define(contracts, option(1, expiration=LATER), option(2, asset="Q4C"))
    assert contracts.parents_due(AT + MINUTE - 1) is None
    assert contracts.parents_due(AT + MINUTE) == ParentCheck(missing=("Q4C.OPT",), superfluous=("Q5B.OPT",))
    assert contracts.parents_due(CLOSE - 1) is None
    contracts.due(CLOSE)
    assert contracts.parents_due(CLOSE) is None
    assert contracts.parents_due(CLOSE + MINUTE) == ParentCheck(missing=(), superfluous=("Q5B.OPT",))


def test_the_builders_moments_are_what_they_are_called() -> None:
    assert datetime.fromtimestamp(AT // 10**9, UTC).isoformat() == "2026-11-24T15:00:00+00:00"
    calendar = cme_globex_equity()
    assert (calendar.day_end(AT), calendar.is_open(OPEN), calendar.is_open(OPEN - 1)) == (CLOSE, True, False)
    assert calendar.last_close(AT) == CLOSE - 24 * HOUR
