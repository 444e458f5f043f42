"""The `tapeline` command: finds its commands by entry points and loads only the one that is asked for."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, entry_points, version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tapeline.errors import MissingExtra, TapelineError

# shown by `tapeline --help`, which must not import a service to learn its text
SUMMARIES = {
    "backfill": "Ask for what is missing on the tape, and see what became of it.",
    "cache": "Show what the cache holds, and what it has saved.",
    "capture": "Write option chains and ticks to files that replay.",
    "costs": "Show what the month costs, against the budgets, and what would cost less.",
    "demo": "Show live pressure of a synthetic market on this machine.",
    "doctor": "Check a source from its key to its data, with the remedies.",
    "fetch": "Fetch a vendor's history into the cache.",
    "gaps": "Show what is missing on the tape, and what is done about it.",
    "kafka": "Start, stop and show the local Kafka broker.",
    "replay": "Put saved files on the tape: DBN, and option chains.",
    "simulate": "Simulate a market as DBN, or a vendor: Databento or Barchart.",
    "sources": "List the sources, and why one cannot load.",
    "tail": "Show what is on the topics as it comes.",
    "topics": "Create, verify and list the topics.",
}


class EntryPointCommands(TyperGroup):
    """The commands of the entry-point group ``tapeline.commands``: plain functions or typer applications."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all installed commands, without loading one."""
        return sorted(_installed())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Load one command, or return None where no such name is installed.

        Raises MissingExtra where a package it needs is not installed.
        """
        found = _installed().get(cmd_name)
        return None if found is None else load_command(found)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands with their summaries, without loading one."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, SUMMARIES.get(name, "")) for name in self.list_commands(ctx)])


def load_command(entry_point: EntryPoint) -> Any:
    """Return the command that an entry point names; the target is a plain function or a ``typer.Typer``.

    Raises MissingExtra, naming the extra to install, where a package of another distribution is missing.
    """
    try:
        target = entry_point.load()
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package.startswith("tapeline"):
            raise
        extra = entry_point.module.partition(".")[0].removeprefix("tapeline_")
        raise MissingExtra(
            f"`tapeline {entry_point.name}` needs the package {package}, "
            f"which is not installed: pip install 'tapeline[{extra}]'"
        ) from error
    if isinstance(target, typer.Typer):
        return typer.main.get_command(target)
    application = typer.Typer(add_completion=False)
    application.command(entry_point.name)(target)
    return typer.main.get_command(application)


def _installed() -> dict[str, EntryPoint]:
    return {found.name: found for found in entry_points(group="tapeline.commands")}


app = typer.Typer(
    cls=EntryPointCommands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tapeline {version('tapeline')}")
        raise typer.Exit


@app.callback()
def tapeline(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Put the market-data tape on Kafka; read bid/ask pressure, option chains and flow from it."""


def main() -> None:
    """Run the command line; an error of ours is told in words, without a stack trace, and sets the exit code."""
    try:
        app()
    except TapelineError as error:
        typer.echo(f"tapeline: {error}", err=True)
        sys.exit(error.exit_code)
