"""A key's form, and that no finding shows it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from tapeline.errors import Misconfigured
from tapeline_databento.doctor.key import DoctorSettings, key_check, without_key

GOOD = "db-" + "k" * 29


def test_a_key_of_the_usual_form_is_good() -> None:
    check = key_check(SecretStr(GOOD))
    assert (check.status, check.remedy) == ("ok", None)


@pytest.mark.parametrize(("key", "told"), [("", "there is no API key"), ("YOUR_API_KEY", "placeholder")])
def test_without_a_key_it_is_said_how_to_get_one_and_where_to_put_it(key: str, told: str) -> None:
    check = key_check(SecretStr(key))
    assert check.status == "red"
    assert told in check.detail
    assert check.remedy is not None
    for part in ("databento.com", "API keys", "TAPELINE_DATABENTO_API_KEY,", ".env", "TAPELINE_DATABENTO_API_KEY_FILE"):
        assert part in check.remedy


@pytest.mark.parametrize(
    ("key", "oddities"),
    [
        ("k" * 32, ["does not begin with db-"]),
        (GOOD + "k", ["has 33 characters instead of 32"]),
        (f'"{GOOD}"', ["in quotes", "does not begin with db-", "has 34 characters"]),
    ],
)
def test_another_form_is_a_warning_that_names_what_is_odd(key: str, oddities: list[str]) -> None:
    check = key_check(SecretStr(key))
    assert check.status == "warning"
    assert all(oddity in check.detail for oddity in oddities)
    assert check.remedy is not None
    assert "databento.com" in check.remedy
    assert key.strip('"') not in check.detail + check.remedy


@pytest.mark.parametrize("key", [f"{GOOD} x", f"{GOOD}|x", "db-schlüssel", "db-\x07"])
def test_what_cannot_be_a_key_is_red_and_not_repeated(key: str) -> None:
    check = key_check(SecretStr(key))
    assert check.status == "red"
    assert check.remedy is not None
    assert key not in check.detail + check.remedy


def test_settings_without_a_key_can_be_examined_and_others_must_be_right(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    assert DoctorSettings.load({}, dotenv=dotenv).api_key.get_secret_value() == ""
    assert DoctorSettings.load({"DATABENTO_API_KEY": GOOD}, dotenv=dotenv).api_key.get_secret_value() == GOOD
    with pytest.raises(Misconfigured, match="SUBSCRIPTIONS"):
        DoctorSettings.load({"TAPELINE_DATABENTO_SUBSCRIPTIONS": "mbo"}, dotenv=dotenv)


def test_a_key_in_somebodys_words_is_blotted_out() -> None:
    assert without_key(f"no {GOOD}, no data", SecretStr(GOOD)) == "no …, no data"
    assert without_key("no key, no data", SecretStr("")) == "no key, no data"
