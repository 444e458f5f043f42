"""The sources that are installed, their doctors and their backfillers, found by entry points.

A source that cannot be used is listed with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from tapeline.errors import Misconfigured, MissingExtra, TapelineError
from tapeline.feed.back_ends import Backfiller
from tapeline.feed.doctor import Doctor
from tapeline.feed.source import Source

GROUP: Final = "tapeline.sources"
DOCTORS: Final = "tapeline.doctors"
BACKFILLERS: Final = "tapeline.backfillers"


@dataclass(frozen=True, slots=True)
class Listing:
    """One source of the registry; `reason` says why it is not available, and is empty where it is."""

    name: str
    available: bool
    reason: str


def list_sources(environment: Mapping[str, str] | None = None) -> list[Listing]:
    """Return every installed source by name; each is loaded, and its settings are read, to see whether it is usable."""
    return [_try(entry_point, environment) for entry_point in _installed(GROUP).values()]


def load_source(name: str) -> type[Source]:
    """Return the class of the source `name`.

    Raises Misconfigured for an unknown name or a source that fails on import, MissingExtra where a package that it
    needs is not installed.
    """
    found = _installed(GROUP).get(name)
    if found is None:
        raise Misconfigured(f"source {name!r} is not installed; there are: {', '.join(_installed(GROUP))}")
    source: type[Source] = _load(found)
    return source


def load_doctor(name: str) -> Doctor:
    """Return the doctor of the source `name`.

    Raises Misconfigured where there is none, which names those that there are; and as `load_source`.
    """
    doctors = _installed(DOCTORS)
    if name not in doctors:
        what = "has no doctor" if name in _installed(GROUP) else "is not installed"
        raise Misconfigured(f"source {name!r} {what}; there are doctors of: {', '.join(doctors) or 'none'}")
    doctor: Doctor = _load(doctors[name])
    return doctor


def load_backfiller(name: str) -> type[Backfiller]:
    """Return the class of what fetches the past of the source `name`.

    Raises Misconfigured where there is none, which names those that there are; and as `load_source`.
    """
    backfillers = _installed(BACKFILLERS)
    if name not in backfillers:
        what = "cannot be backfilled" if name in _installed(GROUP) else "is not installed"
        raise Misconfigured(f"source {name!r} {what}; backfilled can be: {', '.join(backfillers) or 'none'}")
    backfiller: type[Backfiller] = _load(backfillers[name])
    return backfiller


def backfillable() -> frozenset[str]:
    """Return the names of the sources whose past can be fetched; none is loaded."""
    return frozenset(_installed(BACKFILLERS))


def _installed(group: str) -> dict[str, EntryPoint]:
    return {found.name: found for found in sorted(entry_points(group=group), key=lambda found: found.name)}


def _try(entry_point: EntryPoint, environment: Mapping[str, str] | None) -> Listing:
    try:
        _load(entry_point).settings_class.load(environment)
    except TapelineError as error:
        return Listing(entry_point.name, available=False, reason=str(error))
    return Listing(entry_point.name, available=True, reason="")


def _load(entry_point: EntryPoint) -> Any:
    try:
        return entry_point.load()
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
