"""What webhooks are told of an incident: generic JSON, or a text in Slack's form. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, Literal

import orjson

from tapeline.model.incidents import Incident

Form = Literal["json", "slack"]

_SHOWN: Final = 8
_LONGEST: Final = 500


def body(form: Form, incident: Incident, *, is_worse: bool = False) -> bytes:
    """Return the body of a POST in the form that a webhook takes; `is_worse` says that it was open, and is worse now.

    Slack's: an object with `text`, in which ``&``, ``<`` and ``>`` are escaped, so that nothing in it is a link or
    calls anybody (api.slack.com/reference/surfaces/formatting).
    """
    if form == "slack":
        return orjson.dumps({"text": _escaped(text(incident, is_worse=is_worse))})
    said = {"event": event(incident, is_worse=is_worse), "text": text(incident, is_worse=is_worse)}
    return orjson.dumps({**said, "incident": document(incident)})


def event(incident: Incident, *, is_worse: bool = False) -> str:
    """Return the name of what happened."""
    if is_worse:
        return "incident_worsened"
    return "incident_opened" if incident.state == "open" else "incident_closed"


def document(incident: Incident) -> dict[str, Any]:
    """Return an incident as JSON shows it, times as decimal texts."""
    return incident.model_dump(mode="json", by_alias=True)


def text(incident: Incident, *, is_worse: bool = False) -> str:
    """Return what people read: what is wrong and since when, or that it is over and after how long; the evidence."""
    since = _utc(incident.opened_at)
    if incident.closed_at is not None:
        head = f"Over after {_length(incident.closed_at - incident.opened_at)}: {_cut(incident.summary)}"
        when = f"from {since} until {_utc(incident.closed_at)}"
    else:
        again = "Worse now, " if is_worse else "Again, " if incident.flaps else ""
        head = f"{again}{incident.severity.upper()}: {_cut(incident.summary)}"
        when = f"since {since}"
    lines = [head, when]
    if incident.flaps:
        lines.append(f"it came back {incident.flaps} times" if incident.flaps > 1 else "it came back once")
    lines += [f"- {_cut(line)}" for line in incident.evidence[:_SHOWN]]
    if len(incident.evidence) > _SHOWN:
        lines.append(f"- and {len(incident.evidence) - _SHOWN} more")
    if incident.request_ids:
        lines.append(f"backfills: {', '.join(incident.request_ids[:_SHOWN])}")
    return "\n".join(lines)


def _utc(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _length(duration_ns: int) -> str:
    seconds = max(0, duration_ns) // 1_000_000_000
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def _cut(line: str) -> str:
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def _escaped(line: str) -> str:
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
