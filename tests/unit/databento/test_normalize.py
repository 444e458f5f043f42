"""Records go to the stream of the symbol that their instrument is mapped to."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.databento.records import DATASET, START_NS, batch, mappings

from tapeline.errors import BadData
from tapeline.feed.framer import Instrument
from tapeline.model.columns import TickKind
from tapeline_databento.normalize import InstrumentClasses, Normalizer, since

FUTURES, OPTIONS = f"{DATASET}/NQ.FUT", f"{DATASET}/NQ.OPT"
BOTH: dict[TickKind, dict[str, str]] = {
    "l1": {"NQ.FUT": FUTURES, "NQ.OPT": OPTIONS},
    "trade": {"NQ.OPT": OPTIONS},
}


def normalizer(classes: InstrumentClasses | None = None) -> Normalizer:
    made = Normalizer(DATASET, BOTH, classes or InstrumentClasses(DATASET))
    made.learn(mappings((7, "NQ.FUT", "NQZ6"), (8, "NQ.OPT", "NQZ6 C21000"), (9, "NQ.FUT", "NQZ6-NQH7")))
    return made


def test_a_batch_of_one_stream_is_handed_on_as_it_is() -> None:
    quotes = batch("l1", [7, 9, 7])
    (ticks,) = normalizer().ticks(quotes, {})
    assert (ticks.stream, ticks.dataset, ticks.kind, ticks.origin) == (FUTURES, DATASET, "l1", "live")
    assert ticks.instrument_ids.tolist() == [7, 9, 7]
    assert ticks.columns["price"] is quotes.columns["price"]
    assert ticks.directory == {7: Instrument("NQZ6", "F"), 9: Instrument("NQZ6-NQH7", "S")}


def test_a_mixed_batch_is_split_and_each_part_keeps_its_order() -> None:
    quotes = batch("l1", [8, 7, 8, 9, 8], {"price": [1, 4], "bid_price": [2]}, sequence=[1, 2, 3, 4, 5])
    parts = {ticks.stream: ticks for ticks in normalizer().ticks(quotes, {OPTIONS: "replay"})}
    assert parts[OPTIONS].columns["sequence"].tolist() == [1, 3, 5]
    assert parts[FUTURES].columns["sequence"].tolist() == [2, 4]
    assert {name: rows.tolist() for name, rows in parts[OPTIONS].undefined.items()} == {"price": [2], "bid_price": [1]}
    assert {name: rows.tolist() for name, rows in parts[FUTURES].undefined.items()} == {"price": [0]}
    assert (parts[OPTIONS].origin, parts[FUTURES].origin) == ("replay", "live")


def test_a_kind_of_one_stream_needs_no_mapping_and_any_other_does() -> None:
    (ticks,) = normalizer().ticks(batch("trade", [55]), {})
    assert ticks.stream == OPTIONS
    assert ticks.directory == {55: Instrument("55", "?")}
    with pytest.raises(BadData, match="instrument 55: must be mapped to a symbol that is subscribed to, before its l1"):
        normalizer().ticks(batch("l1", [7, 55]), {})
    with pytest.raises(BadData, match="before its mbo"):
        normalizer().ticks(batch("mbo", [7]), {})


def test_a_mapping_that_comes_later_holds_from_there_on() -> None:
    made = normalizer()
    (before,) = made.ticks(batch("l1", [7]), {})
    made.learn(mappings((7, "NQ.FUT", "NQH7"), (10, "NQ.OPT", "NQZ6 P20000")))
    assert made.ticks(batch("l1", [7]), {})[0].directory[7].symbol == "NQH7"
    assert made.ticks(batch("l1", [10]), {})[0].directory[10] == Instrument("NQZ6 P20000", "P")
    assert before.directory[7].symbol == "NQZ6", "frames that wait hold the old directory"
    assert made.ids_of(OPTIONS) == {8, 10}


def test_a_directory_of_very_many_instruments_stays_short() -> None:
    made = normalizer()
    made.learn(mappings(*((number, "NQ.OPT", f"NQZ6 C{number}") for number in range(100, 140))))
    for number in range(100, 140):
        (ticks,) = made.ticks(batch("l1", [number]), {})
        assert ticks.directory[number].symbol == f"NQZ6 C{number}"
        assert len(ticks.directory) <= 16
    (ticks,) = made.ticks(batch("l1", list(range(100, 140))), {})
    assert set(ticks.directory) == set(range(100, 140))


def test_a_directory_is_kept_while_it_serves() -> None:
    made = normalizer()
    first, second = (made.ticks(batch("l1", [7]), {})[0] for _ in range(2))
    assert first.directory is second.directory


def test_a_definition_tells_the_class_where_the_form_does_not() -> None:
    classes = InstrumentClasses(DATASET)
    made = normalizer(classes)
    made.learn(mappings((11, "NQ.FUT", "NQ ODD")))
    assert made.ticks(batch("l1", [11]), {})[0].directory[11].instrument_class == "?"
    classes.learn("NQ ODD", "M")
    assert made.ticks(batch("l1", [11]), {})[0].directory[11].instrument_class == "M"
    first, second = (made.ticks(batch("l1", [11]), {})[0] for _ in range(2))
    assert first.directory is second.directory
    changes = classes.changes
    classes.learn("NQ ODD", "M")
    classes.learn("NQZ6", "F")
    classes.learn("NQZ6", "?")
    assert classes.changes == changes, "what is known already changes nothing"


def test_since_keeps_what_is_late_enough_or_has_no_time() -> None:
    (ticks,) = normalizer().ticks(
        batch("trade", [8, 8, 8, 8], {"ts_event": [2]}, ts_event=[START_NS - 1, START_NS, 0, START_NS + 1]), {}
    )
    kept = since(ticks, START_NS)
    assert kept.columns["ts_event"].tolist() == [START_NS, 0, START_NS + 1]
    assert kept.undefined["ts_event"].tolist() == [1]
    assert since(ticks, 0) is ticks
    assert np.array_equal(since(ticks, START_NS + 1).columns["ts_event"], [0, START_NS + 1])
