"""`tapeline gaps`: what is missing on the tape, and what is done about it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
import typer

from tapeline.bus.bootstrap import bootstrap_servers, namespaced
from tapeline.bus.log import Log
from tapeline.errors import BadData
from tapeline.model.backfill import WHOLE_STREAM
from tapeline.model.coverage import TOPIC, Coverage, MissingInterval
from tapeline_cli.backfill_lines import moment, progress_line
from tapeline_cli.backfill_log import Backfill, BackfillLog

_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class ShownGap:
    """A gap, its parts of several trading days in one, with the backfill that it led to."""

    source: str
    stream: str
    kind: str
    gap: MissingInterval
    backfill: Backfill | None = None

    @property
    def is_awaited(self) -> bool:
        """Whether something is still to come of it."""
        return self.gap.stage not in ("proven", "given_up")


def gaps(
    everything: Annotated[bool, typer.Option("--all", help="Those that are proven or given up, too.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object per gap.")] = False,
) -> None:
    """Show what is missing on the tape, since when, why, and how far its backfill is.

    Read from the topics that a watchdog keeps; none need run, but what it has not seen is not shown.
    """
    servers = bootstrap_servers()
    with BackfillLog(servers) as log:
        found = gaps_of(told := read_coverage(servers), log.found)
    shown = [gap for gap in found if everything or gap.is_awaited]
    for gap in shown:
        sys.stdout.write((orjson.dumps(gap_document(gap)).decode() if json else gap_line(gap)) + "\n")
    if not json:
        left = f"; {len(found) - len(shown):,} are proven or given up: --all shows them" if found != shown else ""
        as_of = f"as of {moment(max(each.at for each in told))}" if told else "as no watchdog has told of any"
        sys.stdout.write(f"{len(shown):,} {'gap' if len(shown) == 1 else 'gaps'} {as_of}{left}\n")


def read_coverage(servers: str) -> list[Coverage]:
    """Return what was last told of each trading day. Raises BrokerUnavailable or TopicMismatch."""
    topic = namespaced(TOPIC)
    told: dict[str, Coverage] = {}
    with Log(servers, "tapeline-gaps-command", timeout_s=_TIMEOUT_S) as log:
        log.partitions(topic)
        for message in log.read(topic, 0, *log.bounds(topic, 0)):
            try:
                day = Coverage.decode(message.value() or b"")
            except BadData:
                continue
            told[day.key] = day
    return list(told.values())


def gaps_of(told: Iterable[Coverage], backfills: Mapping[str, Backfill]) -> list[ShownGap]:
    """Return every gap of the days, and those that backfills have proven since, by where they begin. Pure."""
    found: dict[tuple[str, ...], ShownGap] = {}
    for day in told:
        for part in day.missing:
            key = (day.source, day.stream, day.kind, part.gap_id)
            before = found.get(key)
            gap = part if before is None else _joined(before.gap, part)
            backfill = None if gap.request_id is None else backfills.get(gap.request_id)
            found[key] = ShownGap(day.source, day.stream, day.kind, gap, backfill)
    for backfill in backfills.values():
        request = backfill.request
        key = (request.source, request.stream, request.kind, request.gap_id or "")
        if request.gap_id is not None and key not in found and backfill.state in ("proven", "recomputed"):
            gap = MissingInterval(
                gap_id=request.gap_id,
                stage="proven",
                symbols=request.symbols,
                reason=request.reason,
                ts_event_from=request.window.ts_event_from,
                ts_event_until=request.window.ts_event_until,
                request_id=request.id,
            )
            found[key] = ShownGap(request.source, request.stream, request.kind, gap, backfill)
    return sorted(found.values(), key=lambda shown: (shown.gap.ts_event_from or 0, shown.stream, shown.kind))


def gap_document(shown: ShownGap) -> dict[str, Any]:
    """Return the gap for programs: the fields of md.coverage.v1, and its backfill or null."""
    where = {"source": shown.source, "stream": shown.stream, "kind": shown.kind}
    backfill = None if shown.backfill is None else shown.backfill.document()
    return where | shown.gap.model_dump(mode="json") | {"backfill": backfill}


def gap_line(shown: ShownGap) -> str:
    """Return the line of a gap."""
    gap = shown.gap
    symbols = "" if gap.symbols == WHOLE_STREAM else f" {','.join(gap.symbols)}"
    begin = "?" if gap.ts_event_from is None else moment(gap.ts_event_from)
    end = "now" if gap.stage == "open" else "?" if gap.ts_event_until is None else moment(gap.ts_event_until)
    said = [gap.reason, gap.given_up or ("" if shown.backfill is None else progress_line(shown.backfill))]
    where = f"{shown.source} {shown.stream} {shown.kind}{symbols}"
    return f"{gap.stage.replace('_', ' '):9} {where}  {begin} – {end}  {'; '.join(filter(None, said))}"


def _joined(one: MissingInterval, other: MissingInterval) -> MissingInterval:
    begin = [each.ts_event_from for each in (one, other) if each.ts_event_from is not None]
    end = [each.ts_event_until for each in (one, other) if each.ts_event_until is not None]
    bounds = {"ts_event_from": min(begin, default=None), "ts_event_until": max(end, default=None)}
    return one.model_copy(update=bounds)
