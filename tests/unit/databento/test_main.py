"""The command `tapeline-databento`: it explains itself to whoever has no key yet."""

from __future__ import annotations

import pytest

from tapeline.feed import service
from tapeline_databento.settings import DatabentoSettings
from tapeline_databento.source import DatabentoSource


def test_help_takes_no_key_and_names_every_setting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TAPELINE_DATABENTO_API_KEY", raising=False)
    with pytest.raises(SystemExit) as ended:
        service.main(DatabentoSource, "What it does.", ["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert "What it does." in shown
    for name in DatabentoSettings.model_fields:
        assert f"TAPELINE_DATABENTO_{name.upper()} " in shown
    assert "API_KEY (default none)" in shown
