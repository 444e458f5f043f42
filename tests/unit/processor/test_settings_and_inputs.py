"""Which topics are read, and how a wrong setting is told."""

from __future__ import annotations

import pytest

from tapeline.bus.topics import load_topics
from tapeline.errors import Misconfigured
from tapeline_processor.__main__ import main
from tapeline_processor.settings import ProcessorSettings
from tapeline_processor.topics import select_inputs


def test_topics_are_a_comma_separated_list() -> None:
    settings = ProcessorSettings.load({"TAPELINE_PROCESSOR_TOPICS": "md.ticks.a.v1, md.ticks.b.v1,"})
    assert settings.topics == ("md.ticks.a.v1", "md.ticks.b.v1")


def test_all_declared_ticks_topics_are_read_by_default() -> None:
    ticks = [name for name in load_topics() if name.startswith("md.ticks.")]
    assert "md.ticks.saved.v1" in ticks
    assert select_inputs((), load_topics().values()) == ticks
    with pytest.raises(Misconfigured, match=r"md\.pressure\.v1 is no ticks topic; there are: md\.ticks\."):
        select_inputs(("md.pressure.v1",), load_topics().values())


def test_a_wrong_setting_ends_with_2_and_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TAPELINE_PROCESSOR_LINGER_MS", "-1")
    assert main([]) == 2
    assert "TAPELINE_PROCESSOR_LINGER_MS" in capsys.readouterr().err


def test_age_limits_are_by_mode_and_by_source_and_mode() -> None:
    settings = ProcessorSettings.load({"TAPELINE_PROCESSOR_CHAIN_MAX_AGE_S": "live=60, a/live=5,cache=600,saved=1e3"})
    assert settings.chain_max_age_s == {"live": 60.0, "a/live": 5.0, "cache": 600.0, "saved": 1_000.0}
    assert ProcessorSettings.load({}).chain_max_age_s["databento/live"] == 15.0


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("live", "'live' must be written as live=120"),
        ("live=60,cache=600", "must name every mode; missing: saved"),
        ("live=60,cache=600,saved=9,a/quick=1", "not a/quick"),
        ("live=60,cache=0,saved=9", "must be seconds above 0: cache"),
        ("live=x,cache=1,saved=9", "valid number"),
    ],
)
def test_wrong_age_limits_are_told(value: str, rule: str) -> None:
    with pytest.raises(Misconfigured, match=f"TAPELINE_PROCESSOR_CHAIN_MAX_AGE_S.*{rule}"):
        ProcessorSettings.load({"TAPELINE_PROCESSOR_CHAIN_MAX_AGE_S": value})


def test_help_names_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for name in ProcessorSettings.model_fields:
        assert f"TAPELINE_PROCESSOR_{name.upper()} " in shown
