"""Settings of a service: environment, then `.env`, then the profile, then defaults."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, ValidationError

from tapeline.errors import Misconfigured
from tapeline.ops.resources import resource


class ServiceSettings(BaseModel):
    """Base of every service's one frozen settings class.

    A field `frame_ticks` of the service `saved` is read from ``TAPELINE_SAVED_FRAME_TICKS``, or from the file that
    ``TAPELINE_SAVED_FRAME_TICKS_FILE`` names (for secrets), in the environment, then in `.env`, then from
    ``[saved] frame_ticks`` of the profile. A name with the service's prefix that no field claims is an error, so that
    a misspelt setting is never ignored in silence.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, hide_input_in_errors=True)

    service: ClassVar[str]

    @classmethod
    def load(
        cls,
        environment: Mapping[str, str] | None = None,
        *,
        dotenv: Path = Path(".env"),
        overrides: Mapping[str, Any] | None = None,
    ) -> Self:
        """Return the settings in force; `overrides` (a command's options) come before everything else.

        Raises Misconfigured that names every offending setting, never its value.
        """
        environment = os.environ if environment is None else environment
        from_dotenv = {name: value for name, value in dotenv_values(dotenv).items() if value is not None}
        profile = environment.get("TAPELINE_PROFILE") or from_dotenv.get("TAPELINE_PROFILE")
        values: dict[str, Any] = dict(_from_profile(cls.service, profile)) if profile else {}
        values |= cls._from_names(from_dotenv, str(dotenv))
        values |= cls._from_names(environment, "the environment")
        values |= {name: value for name, value in (overrides or {}).items() if value is not None}
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise Misconfigured(cls._explain(error, profile)) from None

    @classmethod
    def prefix(cls) -> str:
        """Return what the names of this service's environment variables begin with."""
        return f"TAPELINE_{cls.service.upper()}_"

    @classmethod
    def explained(cls) -> str:
        """Return what `--help` says of the settings: each with its default and what it is for."""
        lines = ["settings, from the environment, .env or the profile:"]
        for name, setting in cls.model_fields.items():
            default = None if setting.is_required() else setting.get_default(call_default_factory=True)
            shown = "" if default in (None, (), {}) else str(default)
            lines.append(f"  {cls.prefix()}{name.upper()} (default {shown or 'none'})")
            lines.append(f"      {' '.join((setting.description or '').split())}")
        lines.append(
            "and, as everywhere: KAFKA_BOOTSTRAP_SERVERS, TAPELINE_NAMESPACE, TAPELINE_PROFILE, TAPELINE_LOG_LEVEL"
        )
        return "\n".join(lines)

    @classmethod
    def _from_names(cls, names: Mapping[str, str], where: str) -> dict[str, Any]:
        prefix = cls.prefix()
        values: dict[str, Any] = {}
        for name, value in names.items():
            if not name.startswith(prefix):
                continue
            field = name.removeprefix(prefix).lower()
            if field in cls.model_fields:
                values[field] = value
            elif field.endswith("_file") and field.removesuffix("_file") in cls.model_fields:
                values[field.removesuffix("_file")] = _read_secret(name, Path(value))
            else:
                known = ", ".join(sorted(prefix + field.upper() for field in cls.model_fields))
                raise Misconfigured(f"{name} (in {where}) is not a setting of {cls.service}; its settings are: {known}")
        return values

    @classmethod
    def _explain(cls, error: ValidationError, profile: str | None) -> str:
        lines = []
        for detail in error.errors(include_input=False, include_url=False):
            field = ".".join(str(part) for part in detail["loc"])
            rule = detail["msg"].removeprefix("Value error, ")
            lines.append(f"{cls.prefix()}{field.upper()} (or [{cls.service}] {field} in the profile): {rule}")
        return f"settings of {cls.service} (profile {profile or 'none'}): " + "; ".join(lines)


def _read_secret(name: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{name}: cannot read {path}: {type(error).__name__}") from None


def _from_profile(service: str, profile: str) -> Mapping[str, Any]:
    path = profile_path(profile)
    try:
        with path.open("rb") as file:
            document = tomllib.load(file)
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured(f"profile {path}: is not valid TOML: {error}") from None
    except OSError as error:
        raise Misconfigured(f"profile {path}: cannot be read: {type(error).__name__}") from None
    section = document.get(service, {})
    if not isinstance(section, dict):
        raise Misconfigured(f"profile {path}: [{service}] must be a table")
    return section


def profile_path(profile: str) -> Path:
    """Return the path of a profile, given as a shipped profile's name or as a path that ends in ``.toml``."""
    if profile.endswith(".toml"):
        return Path(profile)
    try:
        return resource("deploy", "profiles", f"{profile}.toml")
    except FileNotFoundError:
        known = ", ".join(sorted(path.stem for path in resource("deploy", "profiles").glob("*.toml")))
        raise Misconfigured(f"TAPELINE_PROFILE: no profile {profile!r}; there are: {known} (or give a path)") from None
