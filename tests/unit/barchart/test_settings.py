"""Off unless it is turned on; every mistake is told with its remedy, and no secret is shown."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tapeline.errors import Misconfigured
from tapeline_barchart.__main__ import main
from tapeline_barchart.settings import BarchartSettings

NO_FILE = Path("no.env")
ON = {"TAPELINE_BARCHART_ENABLED": "true"}


def load(**given: str) -> BarchartSettings:
    names = {f"TAPELINE_BARCHART_{name.upper()}": value for name, value in given.items()}
    return BarchartSettings.load({**ON, **names}, dotenv=NO_FILE)


def test_it_is_off_and_says_why_and_what_the_licensed_way_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TAPELINE_BARCHART_ENABLED", raising=False)
    monkeypatch.setattr(sys, "argv", ["tapeline-barchart"])
    assert main() == 2
    said = capsys.readouterr().err
    for words in ("TAPELINE_BARCHART_ENABLED=true", "terms of use", "OnDemand"):
        assert words in said
    assert "Traceback" not in said


def test_help_needs_no_settings() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tapeline_barchart", "--help"], capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0
    assert "TAPELINE_BARCHART_CALLS_PER_MINUTE (default 20)" in ran.stdout


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"authentication": "login"}, "TAPELINE_BARCHART_PASSWORD_FILE|PASSWORD"),
        ({"authentication": "on-demand"}, "TAPELINE_BARCHART_ON_DEMAND_KEY"),
        ({"authentication": "magic"}, "AUTHENTICATION"),
        ({"policy": "live"}, "POLICY"),
        ({"series": "MC2"}, "SERIES"),
        ({"site": "www.barchart.com"}, "SITE"),
        ({"site": "https://user@www.barchart.com"}, "SITE"),
        ({"saved_time_zone": "Chicago"}, "SAVED_TIME_ZONE"),
        ({"products": "nq"}, "PRODUCTS"),
        ({"calls_per_minute": "0"}, "CALLS_PER_MINUTE"),
    ],
)
def test_a_mistake_names_the_setting_and_the_rule(given: dict[str, str], words: str) -> None:
    with pytest.raises(Misconfigured, match=words):
        load(**given)


def test_secrets_come_from_files_too_and_are_never_shown(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("k-12345\n")
    settings = BarchartSettings.load(
        {
            **ON,
            "TAPELINE_BARCHART_AUTHENTICATION": "on-demand",
            "TAPELINE_BARCHART_ON_DEMAND_KEY_FILE": str(key),
        },
        dotenv=NO_FILE,
    )
    assert settings.on_demand_key.get_secret_value() == "k-12345"
    assert "k-12345" not in repr(settings)
    assert settings.is_vendors_own
    assert not load(site="http://127.0.0.1:8080").is_vendors_own
