"""The command `tapeline simulate`."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from types import FrameType
from typing import Annotated, Final

import typer

from tapeline.errors import Misconfigured
from tapeline_simulator.barchart.commands import barchart
from tapeline_simulator.databento.commands import databento, fault
from tapeline_simulator.dbn_output import write_market
from tapeline_simulator.market import Market, front_contracts, load_kernels

STANDARD_OUTPUT: Final = "-"

simulate = typer.Typer(no_args_is_help=True, add_completion=False, help="Simulate what a vendor would send.")


@simulate.callback()
def _simulate() -> None:
    """Simulate what a vendor would send."""


simulate.command()(databento)
simulate.command()(barchart)
simulate.command()(fault)


class _Stopped(Exception):
    """A signal asked for the end."""


@simulate.command()
def market(
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same market.")] = 1,
    symbols: Annotated[str, typer.Option(help="Raw symbols, with commas; default: the next two NQ contracts.")] = "",
    rate: Annotated[float, typer.Option(help="Mean records per second of the market's time, over all symbols.")] = 2000,
    seconds: Annotated[float | None, typer.Option(min=0, help="End after so much of the market's time.")] = None,
    speed: Annotated[str, typer.Option(help="Multiple of real speed, or max: as fast as it is read.")] = "1",
    start: Annotated[
        str, typer.Option(help="First moment, as ISO 8601 (UTC unless it says otherwise), or now.")
    ] = "now",
    snapshot: Annotated[bool, typer.Option(help="Begin with the books, so that readers know them at once.")] = True,
    output: Annotated[str, typer.Option("--output", "-o", help="A file, or - for standard output.")] = STANDARD_OUTPUT,
) -> None:
    """Write an endless synthetic NQ market, order by order, as DBN.

    Ends quietly when the reader goes away, and with a whole record on Ctrl-C or SIGTERM.
    """
    pace = _parse_speed(speed)
    load_kernels()
    start_ns, began_ns = _parse_start(start), time.monotonic_ns()
    source = Market(
        [symbol.strip() for symbol in symbols.split(",")] if symbols else front_contracts(start_ns, 2),
        seed=seed,
        records_per_s=rate,
        start_ns=start_ns,
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    descriptor = _open(output)
    try:
        with suppress(BrokenPipeError, _Stopped):
            write_market(
                source,
                descriptor,
                snapshot=snapshot,
                seconds=seconds,
                speed=pace,
                began_ns=began_ns,
                clock_ns=time.monotonic_ns,
                sleep=time.sleep,
            )
    finally:
        os.close(descriptor)


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise _Stopped


def _open(output: str) -> int:
    if output != STANDARD_OUTPUT:
        try:
            return os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        except OSError as error:
            raise Misconfigured(f"{output}: cannot be written: {error.strerror}") from None
    if sys.stdout.isatty():
        raise Misconfigured("DBN is binary: send it to a file (-o FILE) or through a pipe")
    return os.dup(sys.stdout.fileno())


def _parse_start(text: str) -> int:
    if text == "now":
        return time.time_ns()
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Misconfigured(f"--start must be a time as ISO 8601 or now, is {text!r}") from None
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1_000_000) * 1_000


def _parse_speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise Misconfigured(f"--speed must be a number above 0 or max, is {text!r}")
    return speed
