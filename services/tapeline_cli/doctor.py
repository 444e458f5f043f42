"""The command `tapeline doctor`: whether a source's feed is alright, and what to do where it is not."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated, Final

import orjson
import typer
from rich.console import Console
from rich.text import Text

from tapeline.feed.doctor import Check, Doctor, Status, document, is_good, verdict
from tapeline.feed.registry import load_doctor
from tapeline.ops.logs import configure_logs

_STYLES: Final[dict[Status, str]] = {"ok": "green", "warning": "yellow", "red": "bold red", "skipped": "bright_black"}
_NAME_WIDTH: Final = 20
_STATUS_WIDTH: Final = 8


def doctor(
    source: Annotated[str, typer.Argument(help="The source, such as databento.")],
    live: Annotated[bool, typer.Option("--live", help="Connect to the live feed too.")] = False,
    seconds: Annotated[
        float, typer.Option(min=0.1, max=600.0, help="With --live: for how long to listen, in seconds.")
    ] = 5.0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object in the end.")] = False,
) -> None:
    """Check a source from its key to its data: green and red, with the remedy for each red.

    Exits with 0 where nothing is red, with 1 where something is, with 2 where the settings cannot be read.
    """
    configure_logs("doctor", default_level="warning")
    checks = asyncio.run(_examine(load_doctor(source), Console(highlight=False), live, seconds, json))
    if json:
        sys.stdout.write(orjson.dumps(document(source, checks)).decode() + "\n")
    else:
        sys.stdout.write(verdict(source, checks) + "\n")
    if not is_good(checks):
        raise typer.Exit(1)


async def _examine(examine: Doctor, console: Console, live: bool, seconds: float, quiet: bool) -> list[Check]:
    checks = []
    async for check in examine(live=live, seconds=seconds):
        checks.append(check)
        if not quiet:
            show(console, check)
    return checks


def show(console: Console, check: Check) -> None:
    """Show one check, and below it what to do; coloured on a terminal."""
    style = _STYLES[check.status]
    line = Text.assemble(
        (check.status.ljust(_STATUS_WIDTH), style), check.name.ljust(_NAME_WIDTH), (check.detail, _dimmed(check.status))
    )
    console.print(line, soft_wrap=True)
    if check.remedy is not None:
        indent = " " * _STATUS_WIDTH
        console.print(Text.assemble(indent, ("remedy: ", style), check.remedy), soft_wrap=True)


def _dimmed(status: Status) -> str:
    return _STYLES[status] if status == "skipped" else ""
