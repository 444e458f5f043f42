"""The sources that are installed, found by entry points; one that cannot be used is listed with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from tapeline.errors import Misconfigured, MissingExtra, TapelineError
from tapeline.feed.source import Source

GROUP: Final = "tapeline.sources"


@dataclass(frozen=True, slots=True)
class Listing:
    """One source of the registry; `reason` says why it is not available, and is empty where it is."""

    name: str
    available: bool
    reason: str


def list_sources(environment: Mapping[str, str] | None = None) -> list[Listing]:
    """Return every installed source by name; each is loaded, and its settings are read, to see whether it is usable."""
    return [_try(entry_point, environment) for entry_point in sorted(entry_points(group=GROUP), key=lambda e: e.name)]


def load_source(name: str) -> type[Source]:
    """Return the class of the source `name`.

    Raises Misconfigured for an unknown name or a source that fails on import, MissingExtra where a package that it
    needs is not installed.
    """
    found = [entry_point for entry_point in entry_points(group=GROUP) if entry_point.name == name]
    if not found:
        known = ", ".join(sorted(entry_point.name for entry_point in entry_points(group=GROUP)))
        raise Misconfigured(f"source {name!r} is not installed; there are: {known}")
    return _load(found[0])


def _try(entry_point: EntryPoint, environment: Mapping[str, str] | None) -> Listing:
    try:
        _load(entry_point).settings_class.load(environment)
    except TapelineError as error:
        return Listing(entry_point.name, available=False, reason=str(error))
    return Listing(entry_point.name, available=True, reason="")


def _load(entry_point: EntryPoint) -> type[Source]:
    try:
        source: type[Source] = entry_point.load()
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        raise MissingExtra(
            f"source {entry_point.name}: the package {package} is missing;"
            f" install it with: pip install 'tapeline[{entry_point.name}]'"
        ) from None
    # Whatever somebody else's source raises on import, it must not hide the other sources.
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise Misconfigured(f"source {entry_point.name}: cannot be loaded: {reason}") from error
    return source
