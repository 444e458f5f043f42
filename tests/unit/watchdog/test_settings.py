"""Settings of the watchdog: a user's mistake is named with its rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from tapeline.errors import Misconfigured
from tapeline_watchdog.group_findings import LagLimits
from tapeline_watchdog.settings import WatchdogSettings


def load(**names: str) -> WatchdogSettings:
    environment = {f"TAPELINE_WATCHDOG_{name.upper()}": value for name, value in names.items()}
    return WatchdogSettings.load(environment, dotenv=Path("/nowhere/.env"))


def test_defaults_and_lists() -> None:
    assert load().processor_urls == ("http://127.0.0.1:8110",)
    assert load().health_port == 8112
    both = load(processor_urls="http://one:8110/, http://two:1")
    assert both.processor_urls == ("http://one:8110", "http://two:1")
    assert load(processor_urls="").processor_urls == ()


def test_lags_are_incidents_from_when_on_the_settings_say() -> None:
    assert load().lag_limits() == LagLimits(lag_s=60.0, hold_ns=60_000_000_000)
    limits = load(incident_lag_s="5", incident_lag_hold_s="0").lag_limits()
    assert limits == LagLimits(lag_s=5.0, hold_ns=0)


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("groups", "(", "must be a regular expression"),
        ("topics", "*", "must be a regular expression"),
        ("processor_urls", "127.0.0.1:8110", "must be addresses such as http://127.0.0.1:8110"),
        ("processor_urls", "http://one/readyz", "must be addresses such as http://127.0.0.1:8110"),
        ("cluster", "a/b", "match pattern"),
        ("interval_s", "0", "greater than 0"),
        ("window", "1", "greater than or equal to 2"),
        ("allowed_lag", "-1", "greater than or equal to 0"),
        ("incident_lag_hold_s", "-1", "greater than or equal to 0"),
    ],
)
def test_a_wrong_one_is_named(name: str, value: str, rule: str) -> None:
    with pytest.raises(Misconfigured, match=rf"TAPELINE_WATCHDOG_{name.upper()} .*{rule}"):
        load(**{name: value})


@pytest.mark.parametrize("name", ["webhook_urls", "slack_webhook_urls"])
def test_webhooks_are_secrets_that_may_come_from_a_file(name: str, tmp_path: Path) -> None:
    urls = tmp_path / "urls"
    urls.write_text("https://hooks.example/T000/one\nhttps://hooks.example/T000/two\n")
    settings = load(**{f"{name}_file": str(urls)})
    assert [webhook.url.get_secret_value()[-3:] for webhook in settings.webhooks()] == ["one", "two"]
    assert [webhook.form for webhook in settings.webhooks()] == ["slack" if "slack" in name else "json"] * 2
    assert "T000" not in f"{settings!r}{settings.webhooks()!r}{settings.model_dump_json()}"
    for wrong in ("hooks.example/T000/two", "https://hooks..example/T000/two", "https://[::1/T000"):
        with pytest.raises(Misconfigured, match="number 2 is none") as told:
            load(**{name: f"https://hooks.example/T000/one, {wrong}"})
        assert "T000" not in str(told.value)
    assert load(**{name: "http://[::1]:8000/T000 https://münchen.example"}).webhooks()
