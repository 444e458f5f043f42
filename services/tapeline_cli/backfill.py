"""`tapeline backfill`: ask for what is missing on the tape, and see what became of it."""

from __future__ import annotations

import asyncio
import getpass
import sys
import time
from typing import Annotated, Final

import orjson
import typer

from tapeline.bus.bootstrap import bootstrap_servers, namespaced
from tapeline.bus.publisher import Publisher
from tapeline.feed.registry import backfillable
from tapeline.model.backfill import REQUESTS_TOPIC, BackfillRequest
from tapeline_cli.backfill_lines import backfill_line, detail_lines, new_request
from tapeline_cli.backfill_log import Backfill, BackfillLog

backfill = typer.Typer(
    help="Ask for what is missing on the tape, and see what became of it.", no_args_is_help=True, add_completion=False
)

Id = Annotated[str, typer.Argument(help="The request's id, or how it begins.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object per request.")]

_DELIVERY_S: Final = 15.0


@backfill.command()
def request(
    source: Annotated[str, typer.Argument(help="Such as databento.", show_default=False)],
    stream: Annotated[str, typer.Argument(help="Such as GLBX.MDP3/NQ.FUT.", show_default=False)],
    kind: Annotated[str, typer.Argument(help="mbo, l1, trade, status or statistics.", show_default=False)],
    begin: Annotated[str, typer.Option("--from", help="First moment: a date or a time in ISO 8601, UTC.")],
    end: Annotated[str, typer.Option("--to", help="The moment after the last, in the same form.")],
    symbols: Annotated[
        str | None, typer.Option(help="Raw symbols, comma separated; default: the whole stream.")
    ] = None,
    cap_usd: Annotated[
        str | None, typer.Option(help="Most US dollars that it may cost; default: what the service allows.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Ask for ticks of a time that has passed; those that are on the tape are not put there twice.

    Who asks for the same again gets what became of it; it is only taken up again if it was given up.
    """
    asked = new_request(
        source,
        stream,
        kind,
        begin,
        end,
        symbols,
        cap_usd,
        sources=backfillable(),
        requested_by=getpass.getuser(),
        now_ns=time.time_ns(),
    )
    with BackfillLog(bootstrap_servers()) as log:
        known = log.found.get(asked.id)
    is_new = known is None or known.is_given_up
    if is_new:
        asked = asked if known is None else known.again(asked)
        _publish(asked)
        known = Backfill(asked, None if known is None else known.event)
    _print(known or Backfill(asked), json=json)
    if not json:
        _say(f"see `tapeline backfill show {asked.id[:8]} --follow`" if is_new else "it was asked for before")


@backfill.command("list")
def list_requests(
    everything: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False, json: AsJson = False
) -> None:
    """List the requests that are under way, those that were made last being the last."""
    with BackfillLog(bootstrap_servers()) as log:
        found = [each for each in log.found.values() if everything or not each.is_over]
        over = len(log.found) - len(found)
    for each in sorted(found, key=lambda each: each.request.requested_at):
        _print(each, json=json)
    if not json and not found:
        _say(f"none is under way; {over:,} are over: --all shows them")


@backfill.command()
def show(
    name: Id,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until it is over; Ctrl-C ends it.")] = False,
    json: AsJson = False,
) -> None:
    """Show one request with all that is known; exit 1 if it was given up."""
    with BackfillLog(bootstrap_servers()) as log:
        shown = log.get(name)
        if json:
            _print(shown, json=True)
        else:
            for line in detail_lines(shown):
                _say(line)
        if follow:
            # What it was is shown already.
            steps = log.follow(shown.request.id)
            next(steps)
            for shown in steps:
                _print(shown, json=json)
    if shown.is_given_up:
        raise typer.Exit(1)


@backfill.command()
def cancel(name: Id, json: AsJson = False) -> None:
    """Cancel a request; what is on the tape by then stays there."""
    with BackfillLog(bootstrap_servers()) as log:
        found = log.get(name)
    if not found.is_over:
        now_ns = time.time_ns()
        by = {"requested_by": getpass.getuser(), "requested_at": now_ns, "reason": "cancelled by hand"}
        _publish(found.request.model_copy(update={"command": "cancel", "gap_id": None, **by}))
    _print(found, json=json)
    if not json:
        _say("it is over" if found.is_over else f"asked to cancel it; see `tapeline backfill show {name} --follow`")


def _publish(asked: BackfillRequest) -> None:
    async def publish() -> None:
        publisher = Publisher(bootstrap_servers(), "tapeline-backfill-command")
        try:
            await publisher.deliver(namespaced(REQUESTS_TOPIC), asked.id, asked.encode(), _DELIVERY_S)
        finally:
            await publisher.close(0.0)

    asyncio.run(publish())


def _print(found: Backfill, *, json: bool) -> None:
    _say(orjson.dumps(found.document()).decode() if json else backfill_line(found))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
