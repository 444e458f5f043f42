"""Settings: order of their sources, misspelt names, secrets."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import Field, SecretStr

from tapeline.errors import Misconfigured
from tapeline.ops.settings import ServiceSettings


class ExampleSettings(ServiceSettings):
    service: ClassVar[str] = "example"

    speed: float = 1.0
    api_key: SecretStr = SecretStr("")
    machine: str = Field(default_factory=lambda: "this one")


@pytest.fixture
def profile(tmp_path: Path) -> str:
    path = tmp_path / "fast.toml"
    path.write_text("[example]\nspeed = 3.0\n[other]\nspeed = 9.0\n", encoding="utf-8")
    return str(path)


def test_environment_before_dotenv_before_profile_before_default(tmp_path: Path, profile: str) -> None:
    dotenv = tmp_path / ".env"
    assert ExampleSettings.load({}, dotenv=dotenv).speed == 1.0
    assert ExampleSettings.load({"TAPELINE_PROFILE": profile}, dotenv=dotenv).speed == 3.0
    dotenv.write_text("TAPELINE_EXAMPLE_SPEED=4\nTAPELINE_OTHER_NAME=1\n", encoding="utf-8")
    assert ExampleSettings.load({"TAPELINE_PROFILE": profile}, dotenv=dotenv).speed == 4.0
    environment = {"TAPELINE_PROFILE": profile, "TAPELINE_EXAMPLE_SPEED": "5"}
    assert ExampleSettings.load(environment, dotenv=dotenv).speed == 5.0
    assert ExampleSettings.load(environment, dotenv=dotenv, overrides={"speed": 6.0}).speed == 6.0


def test_a_misspelt_name_is_an_error_that_lists_the_right_ones(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"TAPELINE_EXAMPLE_SPED .* TAPELINE_EXAMPLE_SPEED"):
        ExampleSettings.load({"TAPELINE_EXAMPLE_SPED": "1"}, dotenv=tmp_path / ".env")


def test_a_misspelt_name_in_the_profile_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("[example]\nsped = 1\n", encoding="utf-8")
    with pytest.raises(Misconfigured, match="sped"):
        ExampleSettings.load({"TAPELINE_PROFILE": str(path)}, dotenv=tmp_path / ".env")


def test_an_unknown_profile_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"no profile 'nope'; there are: .*demo"):
        ExampleSettings.load({"TAPELINE_PROFILE": "nope"}, dotenv=tmp_path / ".env")


def test_a_secret_comes_from_a_file_and_is_never_shown(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("db-secret\n", encoding="utf-8")
    environment = {"TAPELINE_EXAMPLE_API_KEY_FILE": str(tmp_path / "key")}
    settings = ExampleSettings.load(environment, dotenv=tmp_path / ".env")
    assert settings.api_key.get_secret_value() == "db-secret"
    assert "db-secret" not in repr(settings)


def test_an_error_names_the_setting_and_not_its_value(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured) as caught:
        ExampleSettings.load({"TAPELINE_EXAMPLE_SPEED": "s3cret"}, dotenv=tmp_path / ".env")
    assert "TAPELINE_EXAMPLE_SPEED" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_settings_are_frozen(tmp_path: Path) -> None:
    settings = ExampleSettings.load({}, dotenv=tmp_path / ".env")
    with pytest.raises(ValueError, match="frozen"):
        settings.speed = 2.0


def test_defaults_are_explained_as_they_will_be_and_secrets_are_not_shown() -> None:
    shown = [line.split("_", 2)[2] for line in ExampleSettings.explained().splitlines() if "(default " in line]
    assert shown == ["SPEED (default 1.0)", "API_KEY (default none)", "MACHINE (default this one)"]
