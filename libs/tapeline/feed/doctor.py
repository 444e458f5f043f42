"""What a source's doctor finds: one check after another, and what to do about each that is red. Pure."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from tapeline.errors import Bug

Status = Literal["ok", "warning", "red", "skipped"]


@dataclass(frozen=True, slots=True)
class Check:
    """One finding. `detail` says what was seen, or why it was not looked at; `remedy` what a user does about it.

    Raises Bug for a red one without a remedy: it would leave its reader alone.
    """

    name: str
    status: Status
    detail: str
    remedy: str | None = None

    def __post_init__(self) -> None:
        if self.status == "red" and not self.remedy:
            raise Bug(f"the check {self.name} is red and says no remedy")


class Doctor(Protocol):
    """Examines a source. Found by the entry-point group ``tapeline.doctors``, under the source's name."""

    def __call__(self, *, live: bool, seconds: float) -> AsyncIterator[Check]:
        """Yield each check as soon as it is done; `live`: also take so many seconds of live data.

        What goes wrong is a red check, whatever it is. Raises Misconfigured only for settings that cannot be read.
        """


def is_good(checks: Iterable[Check]) -> bool:
    """Return whether none is red."""
    return all(check.status != "red" for check in checks)


def skipped(names: Iterable[str], why: str) -> list[Check]:
    """Return checks that were not made, as there is no point in looking."""
    return [Check(name, "skipped", why) for name in names]


def document(source: str, checks: Iterable[Check]) -> dict[str, Any]:
    """Return the checks as what ``tapeline doctor --json`` prints."""
    found = list(checks)
    return {
        "source": source,
        "ok": is_good(found),
        "checks": [
            {"name": check.name, "status": check.status, "detail": check.detail, "remedy": check.remedy}
            for check in found
        ],
    }


def verdict(source: str, checks: Iterable[Check]) -> str:
    """Return the last line for people: which checks are red, and which are warnings."""
    found = list(checks)
    said = []
    for status in ("red", "warning"):
        names = [check.name for check in found if check.status == status]
        if names:
            said.append(f"{len(names)} {status} ({', '.join(names)})")
    return f"{source}: {'; '.join(said) or 'all is well'}"
