"""What people say to `tapeline backfill`, and what it says to them. Pure."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from tapeline.errors import BadData, Misconfigured
from tapeline.feed.prices import dollars, micro_usd
from tapeline.model.backfill import WHOLE_STREAM, BackfillRequest, request_id
from tapeline.model.columns import TICK_KINDS
from tapeline.model.control import Interval
from tapeline_cli.backfill_log import Backfill

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def new_request(
    source: str,
    stream: str,
    kind: str,
    begin: str,
    end: str,
    symbols: str | None,
    cap_usd: str | None,
    *,
    sources: Collection[str],
    requested_by: str,
    now_ns: int,
) -> BackfillRequest:
    """Return the request that the arguments ask for. Raises Misconfigured that names the argument and the rule."""
    if source not in sources:
        there_are = ", ".join(sorted(sources)) or "none"
        raise Misconfigured(f"SOURCE: {source!r} cannot be backfilled; there are: {there_are}")
    dataset, slash, subscribed = stream.partition("/")
    if not (dataset and slash and subscribed):
        raise Misconfigured(f"STREAM: must be dataset/subscription, such as GLBX.MDP3/NQ.FUT, is {stream!r}")
    if kind not in TICK_KINDS:
        raise Misconfigured(f"KIND: must be one of {', '.join(TICK_KINDS)}, is {kind!r}")
    window = Interval(ts_event_from=parse_moment("--from", begin), ts_event_until=parse_moment("--to", end))
    if window.ts_event_until <= window.ts_event_from:
        raise Misconfigured(f"--to ({moment(window.ts_event_until)}) must be after --from")
    if window.ts_event_until > now_ns:
        raise Misconfigured(f"--to ({moment(window.ts_event_until)}) must not be in the future")
    names: tuple[str, ...] = WHOLE_STREAM
    if symbols is not None:
        names = tuple(sorted({name.strip() for name in symbols.split(",") if name.strip()}))
        if not names:
            raise Misconfigured("--symbols: must be raw symbols, comma separated; leave it out for the whole stream")
    return BackfillRequest(
        id=request_id(source, dataset, stream, kind, names, window),
        source=source,
        dataset=dataset,
        stream=stream,
        kind=kind,
        symbols=names,
        window=window,
        cost_cap_micro_usd=None if cap_usd is None else _cap(cap_usd),
        requested_by=requested_by,
        requested_at=now_ns,
        reason="asked for by hand",
    )


def parse_moment(name: str, text: str) -> int:
    """Return a date or a time in ISO 8601 as ns since the epoch, UTC unless it says otherwise. Raises Misconfigured."""
    # Python's own clock has no nanoseconds.
    whole, point, rest = text.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    try:
        at = datetime.fromisoformat(whole + rest[len(digits) :])
        if (point and not digits) or len(digits) > 9:
            raise ValueError
    except ValueError:
        raise Misconfigured(
            f"{name}: must be a date or a time in ISO 8601, such as 2026-11-24T14:30:00, is {text!r}"
        ) from None
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    since = at - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + int(digits.ljust(9, "0"))


def moment(at_ns: int) -> str:
    """Return a moment for people: UTC, to the second, in a form that `parse_moment` takes."""
    return f"{datetime.fromtimestamp(at_ns // 1_000_000_000, UTC):%Y-%m-%d %H:%M:%SZ}"


def backfill_line(backfill: Backfill) -> str:
    """Return one line about a request: its id, state, what it asks for, and how far it is."""
    request = backfill.request
    symbols = "" if request.symbols == WHOLE_STREAM else f" {','.join(request.symbols)}"
    window = f"{moment(request.window.ts_event_from)} – {moment(request.window.ts_event_until)}"
    what = f"{request.source} {request.stream} {request.kind}{symbols} {window}"
    return f"{request.id}  {backfill.state:13} {what}  {progress_line(backfill)}".rstrip()


def progress_line(backfill: Backfill) -> str:
    """Return how far a request is, in words; nothing before anything was heard of it."""
    event = backfill.event
    if event is None or backfill.is_asked_again:
        return ""
    said = []
    if event.read or event.published:
        of = f" of about {event.estimated_records:,}" if event.estimated_records else ""
        said.append(f"{event.read:,}{of} read, {event.published:,} put on the tape, {event.skipped:,} were on it")
    elif event.estimated_records is not None:
        said.append(f"about {event.estimated_records:,} records")
    if event.cost_micro_usd is not None:
        said.append(dollars(event.cost_micro_usd))
    if event.counted is not None:
        said.append(f"the vendor counts {event.counted:,}")
    if event.proven_empty:
        said.append("the vendor has nothing there")
    if event.reason:
        said.append(event.reason)
    if event.next_attempt_at is not None:
        said.append(f"next attempt at {moment(event.next_attempt_at)}")
    return "; ".join(said)


def detail_lines(backfill: Backfill) -> list[str]:
    """Return all there is to say of a request."""
    request, event = backfill.request, backfill.event
    cap = request.cost_cap_micro_usd
    lines = [
        backfill_line(backfill),
        f"  asked for by {request.requested_by} at {moment(request.requested_at)}: {request.reason or 'for no reason'}",
        f"  cap: {'that of the backfill service' if cap is None else dollars(cap)}",
    ]
    if request.gap_id is not None:
        lines.append(f"  gap: {request.gap_id}")
    if event is not None:
        by = f" by {event.worker}" if event.worker else ""
        back_end = f" from {event.back_end}" if event.back_end else ""
        lines.append(f"  {event.type} at {moment(event.at)}{by}{back_end}, attempt {event.attempt}")
    return lines


def _cap(text: str) -> int:
    try:
        cap = micro_usd(Decimal(text) if text.strip() else text)
    except (BadData, ArithmeticError):
        raise Misconfigured(f"--cap-usd: must be a number of US dollars from 0 on, is {text!r}") from None
    return cap
