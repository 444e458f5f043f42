"""The settings: the key is never shown, what is missing is told with the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from tapeline.errors import Misconfigured
from tapeline_databento.settings import DatabentoSettings

KEY = "db-0123456789abcdefghijklmnopqrs"


def load(tmp_path: Path, **names: str) -> DatabentoSettings:
    return DatabentoSettings.load(names, dotenv=tmp_path / "none")


def test_without_a_key_it_says_how_to_get_one_and_where_to_put_it(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"^settings of databento .*: there is no API key; create one at databento"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["TAPELINE_DATABENTO_API_KEY", "DATABENTO_API_KEY"])
def test_the_vendors_own_name_of_the_key_serves_too(tmp_path: Path, name: str) -> None:
    settings = load(tmp_path, **{name: KEY})
    assert settings.api_key.get_secret_value() == KEY
    assert KEY not in repr(settings)
    assert KEY not in str(settings.model_dump())


def test_our_name_of_the_key_comes_first_and_a_file_may_hold_it(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(KEY + "\n")
    settings = load(tmp_path, TAPELINE_DATABENTO_API_KEY_FILE=str(file), DATABENTO_API_KEY="db-other")
    assert settings.api_key.get_secret_value() == KEY


@pytest.mark.parametrize("key", ["two words", "a|b", "a=b", "clé", "line\nline"])
def test_what_is_no_key_is_refused_and_not_shown(tmp_path: Path, key: str) -> None:
    with pytest.raises(Misconfigured, match="a key is one word") as told:
        load(tmp_path, TAPELINE_DATABENTO_API_KEY=key)
    assert key not in str(told.value)


def test_a_wrong_subscription_is_told_without_the_words_of_the_library(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"TAPELINE_DATABENTO_SUBSCRIPTIONS \(or .*\): 'mbo' must be schema="):
        load(tmp_path, DATABENTO_API_KEY=KEY, TAPELINE_DATABENTO_SUBSCRIPTIONS="mbo")


def test_the_gateway_follows_from_the_dataset_as_with_the_official_client(tmp_path: Path) -> None:
    assert load(tmp_path, DATABENTO_API_KEY=KEY).gateway_host == "glbx-mdp3.lsg.databento.com"
    settings = load(tmp_path, DATABENTO_API_KEY=KEY, TAPELINE_DATABENTO_GATEWAY="127.0.0.1")
    assert (settings.gateway_host, settings.port) == ("127.0.0.1", 13_000)
