"""Sources are found by entry points; one that cannot be used is listed with the reason."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from tapeline.errors import Misconfigured, MissingExtra
from tapeline.feed import registry
from tapeline.feed.registry import GROUP, list_sources, load_backfiller, load_source

USABLE = """
from typing import ClassVar
from tapeline.feed.source import FeedSettings
class Settings(FeedSettings):
    service: ClassVar[str] = "{name}"
    api_key: str
class Source:
    name = "{name}"
    settings_class = Settings
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modules = {
        "usable": USABLE.format(name="usable"),
        "lacking": "import a_package_that_nobody_has.part",
        "broken": "raise RuntimeError('out of order')",
        "empty": "",
    }
    for name, text in modules.items():
        (tmp_path / f"registered_{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    found = [EntryPoint(name, f"registered_{name}:Source", GROUP) for name in modules]
    monkeypatch.setattr(registry, "entry_points", lambda group: found if group == GROUP else [])


@pytest.mark.usefixtures("installed")
def test_every_source_is_listed_with_the_reason_why_it_cannot_be_used() -> None:
    listed = {listing.name: listing for listing in list_sources({"TAPELINE_USABLE_API_KEY": "x"})}
    assert list(listed) == ["broken", "empty", "lacking", "usable"]
    assert listed["usable"].available
    assert listed["usable"].reason == ""
    assert "RuntimeError: out of order" in listed["broken"].reason
    assert "Source" in listed["empty"].reason
    assert "package a_package_that_nobody_has is missing" in listed["lacking"].reason
    assert "pip install 'tapeline[lacking]'" in listed["lacking"].reason
    assert not any(listed[name].available for name in ("broken", "empty", "lacking"))


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({}, "TAPELINE_USABLE_API_KEY"),
        ({"TAPELINE_USABLE_API_KEY": "x", "TAPELINE_USABLE_LINGER_MS": "-1"}, "TAPELINE_USABLE_LINGER_MS"),
        ({"TAPELINE_USABLE_API_KEY": "x", "TAPELINE_USABLE_LINGERMS": "1"}, "TAPELINE_USABLE_LINGERMS"),
    ],
)
def test_a_missing_bad_or_misspelt_setting_is_named(environment: dict[str, str], named: str) -> None:
    (usable,) = (listing for listing in list_sources(environment) if listing.name == "usable")
    assert not usable.available
    assert named in usable.reason


@pytest.mark.usefixtures("installed")
def test_loading_raises_the_same_reasons() -> None:
    assert load_source("usable").name == "usable"
    with pytest.raises(MissingExtra, match="a_package_that_nobody_has"):
        load_source("lacking")
    with pytest.raises(Misconfigured, match="out of order"):
        load_source("broken")
    with pytest.raises(Misconfigured, match=r"'nobody' is not installed; there are: .*usable"):
        load_source("nobody")


def test_the_saved_source_is_installed() -> None:
    assert load_source("saved").name == "saved"


def test_tells_which_sources_can_be_backfilled() -> None:
    assert load_backfiller("databento").source == "databento"
    with pytest.raises(Misconfigured, match="source 'barchart' cannot be backfilled; backfilled can be: databento"):
        load_backfiller("barchart")
    with pytest.raises(Misconfigured, match="source 'nonsense' is not installed; backfilled can be: databento"):
        load_backfiller("nonsense")
