"""Between what is replayed and what is history nothing is to be had: it is waited for, and is history then."""

from __future__ import annotations

from pathlib import Path

from tests.unit.databento.backfill.test_asking import request

from tapeline.model.backfill import BackfillRequest, request_id
from tapeline.model.control import Interval
from tapeline_backfill.windows import out_of_reach, parts, worth_waiting_until
from tapeline_databento.backfill import DatabentoBackfiller
from tapeline_databento.settings import DatabentoSettings

S = 1_000_000_000
NOW = 1_795_446_000 * S


def asked(begin_ago_s: int, end_ago_s: int) -> BackfillRequest:
    window = Interval(ts_event_from=NOW - begin_ago_s * S, ts_event_until=NOW - end_ago_s * S)
    usual = request()
    name = request_id(usual.source, usual.dataset, usual.stream, usual.kind, usual.symbols, window)
    return usual.model_copy(update={"window": window, "id": name})


def test_what_is_neither_replayed_nor_history_is_waited_for(tmp_path: Path) -> None:
    key = {"api_key": "db-0123456789abcdefghijklmnopqrs"}
    settings = DatabentoSettings.load({}, dotenv=tmp_path / "no.env", overrides=key)
    ways = DatabentoBackfiller(settings, lambda: NOW).back_ends()
    replayed_s, history_s = settings.replay_window_s, settings.history_embargo_s
    assert replayed_s < history_s
    between = asked(round(history_s) - 1, round(replayed_s) + 1)
    assert parts(between, [between.window], ways, NOW) == []
    assert out_of_reach(between, [between.window], ways, NOW) == []
    assert NOW < worth_waiting_until(between, [between.window], ways, NOW, 3_600 * S) <= NOW + 3_600 * S
    over = asked(100_000, 3_600)
    names = [part.way.name for part in parts(over, [over.window], ways, NOW)]
    assert names == ["replay", "historical"]
    assert out_of_reach(over, [over.window], ways, NOW) == []
    later_ns = NOW + round(history_s) * S + 60 * S
    [whole] = parts(over, [over.window], ways, later_ns)
    assert (whole.way.name, whole.interval) == ("historical", over.window)
