"""`tapeline kafka`: the local broker."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from tapeline_cli.local_broker import BrokerState, LocalBroker, state_folder

kafka = typer.Typer(help="Start, stop and show the local Kafka broker.", no_args_is_help=True, add_completion=False)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@kafka.command()
def up(as_json: AsJson = False) -> None:
    """Start the broker unless it runs; return once it has taken a message."""
    broker = LocalBroker(state_folder())
    ran = broker.running() is not None
    state = broker.start()
    text = f"Kafka {state.version} {'runs already' if ran else 'runs'} at {state.bootstrap_servers}, log {broker.log}"
    _show(broker, state, text, as_json)


@kafka.command()
def down(as_json: AsJson = False) -> None:
    """Stop the broker; its data stays."""
    broker = LocalBroker(state_folder())
    stopped = broker.stop()
    _show(broker, None, "Kafka is stopped" if stopped else "Kafka was not running", as_json)


@kafka.command()
def status(as_json: AsJson = False) -> None:
    """Show the broker; exit with 1 where none runs."""
    broker = LocalBroker(state_folder())
    state = broker.running()
    text = (
        f"Kafka {state.version} runs at {state.bootstrap_servers} since {state.started}" if state else "no broker runs"
    )
    _show(broker, state, text, as_json)
    if state is None:
        raise typer.Exit(1)


def _show(broker: LocalBroker, state: BrokerState | None, text: str, as_json: bool) -> None:
    if as_json:
        text = json.dumps({"running": state is not None, "log": str(broker.log)} | (asdict(state) if state else {}))
    typer.echo(text)
