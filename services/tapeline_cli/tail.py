"""`tapeline tail`: what is on the topics, as it comes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar, cast

import numpy as np
import orjson
import typer
from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table

from tapeline.bus.consumer import Start, consume
from tapeline.bus.topics import load_topics
from tapeline.errors import BadData, Misconfigured
from tapeline.model.chains import BEST_TOPIC, chain_topic
from tapeline.model.frames import TickFrame
from tapeline_cli.board import Board
from tapeline_cli.flow_board import FlowBoard
from tapeline_cli.ladder import Ladder, Wanted, parse_expiry
from tapeline_cli.lines import event_line, instrument_line, quality_line

tail = typer.Typer(
    help="Show what is on the topics as it comes; Ctrl-C ends it.", no_args_is_help=True, add_completion=False
)

Stream = Annotated[list[str] | None, typer.Option("--stream", help="Only this stream; may be given several times.")]
Parent = Annotated[
    list[str] | None, typer.Option("--parent", help="Only of this parent, such as NQ.OPT; may be given several times.")
]
Symbol = Annotated[list[str] | None, typer.Option("--symbol", help="Only this symbol; may be given several times.")]
Underlying = Annotated[str, typer.Option(help="A future such as NQZ6, or a product such as NQ; default: any.")]
Expiry = Annotated[str, typer.Option(help="The day of expiry in Chicago, such as 2026-11-27.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object per line.")]
FromStart = Annotated[bool, typer.Option("--from-start", help="Begin with the oldest that is kept, not with now.")]
Once = Annotated[bool, typer.Option("--once", help="End where the topic ends at this moment.")]

T = TypeVar("T")

_REFRESH_S: Final = 0.25
_PRINT_S: Final = 2.0
_PRINTED_WIDTH: Final = 160
_MOST_LINES: Final = 60


@tail.command()
def pressure(
    stream: Stream = None,
    symbol: Symbol = None,
    json: AsJson = False,
    from_start: FromStart = False,
    once: Once = False,
) -> None:
    """Show bid/ask pressure per symbol and window."""
    rows = (
        cast(dict[str, Any], row)
        for row in _values(["md.pressure.v1"], stream, from_start=from_start, once=once)
        if row is None or not symbol or cast(dict[str, Any], row)["symbol"] in symbol
    )
    if json:
        _print_json(rows)
    else:
        board = Board()
        _show(
            rows, lambda row: board.update(row["source"], row["stream"], row), lambda: board.table("bid/ask pressure")
        )


@tail.command()
def ticks(
    stream: Stream = None,
    symbol: Symbol = None,
    json: AsJson = False,
    from_start: FromStart = False,
    once: Once = False,
) -> None:
    """Show what the sources put on the tape."""
    topics = [name for name, topic in load_topics().items() if topic.is_ticks]
    frames = _values(topics, stream, from_start=from_start, once=once)
    if json:
        _print_json(_tick_rows(cast(Iterator[TickFrame | None], frames), symbol))
    else:
        flow = _Flow(symbol)
        _show(cast(Iterator[TickFrame | None], frames), flow.update, flow.table)


@tail.command()
def events(
    stream: Stream = None,
    heartbeats: Annotated[bool, typer.Option(help="Show the one per second, stream and kind, too.")] = True,
    json: AsJson = False,
    from_start: FromStart = False,
    once: Once = False,
) -> None:
    """Show connections, gaps, changes of source, failed fetches and heartbeats."""
    documents = (
        document
        for document in _documents("md.feed-events.v1", stream, from_start, once)
        if heartbeats or document is None or document["type"] != "heartbeat"
    )
    _print_documents(documents, event_line, json=json)


@tail.command()
def instruments(
    parent: Parent = None,
    symbol: Symbol = None,
    json: AsJson = False,
    from_start: FromStart = False,
    once: Once = False,
) -> None:
    """Show instruments as they are defined."""
    documents = (
        document
        for document in _documents("md.instruments.v1", None, from_start, once)
        if document is None
        or ((not parent or document["parent"] in parent) and (not symbol or document["raw_symbol"] in symbol))
    )
    _print_documents(documents, instrument_line, json=json)


@tail.command()
def quality(stream: Stream = None, json: AsJson = False, from_start: FromStart = False, once: Once = False) -> None:
    """Show what the quality rules found: contracts that have not quoted, what is wrong with a chain."""
    documents = _documents("md.quality.v1", stream, from_start, once)
    _print_documents(documents, quality_line, json=json)


@tail.command()
def chain(
    underlying: Underlying = "",
    expiry: Expiry = "",
    source: Annotated[str, typer.Option(help="Of this source; default: the best chain of all.")] = "",
    strikes: Annotated[int, typer.Option(min=0, help="Strikes on each side of the money.")] = 12,
    json: AsJson = False,
    from_start: FromStart = False,
    once: Once = False,
) -> None:
    """Show the strike ladder of an option chain, with where it comes from and whether it can be trusted."""
    topic = chain_topic(source) if source else BEST_TOPIC
    if topic not in load_topics():
        sources = [name.split(".")[2] for name in load_topics() if name.startswith("md.chains.") and name != BEST_TOPIC]
        raise Misconfigured(f"--source: {source!r} has no chains; there are {', '.join(sources)}")
    wanted = Wanted(underlying, parse_expiry(expiry) if expiry else None)
    chains = _documents(topic, None, from_start, once)
    if json:
        _print_json(chain for chain in chains if chain is None or wanted.covers(chain))
    else:
        ladder = Ladder(wanted, strikes, time.time_ns)
        _show(chains, ladder.update, ladder.table)


@tail.command()
def flow(
    underlying: Underlying = "",
    expiry: Expiry = "",
    json: AsJson = False,
    from_start: FromStart = False,
    once: Once = False,
) -> None:
    """Show option flow per expiry and window: what was bought and sold, its premium, delta and vega."""
    wanted = Wanted(underlying, parse_expiry(expiry) if expiry else None)
    rows = _documents("md.option-flow.v1", None, from_start, once)
    if json:
        _print_json(row for row in rows if row is None or wanted.covers(row))
    else:
        board = FlowBoard(wanted)
        _show(rows, board.update, board.table)


def _documents(topic: str, streams: list[str] | None, from_start: bool, once: bool) -> Iterator[dict[str, Any] | None]:
    return cast(Iterator[dict[str, Any] | None], _values([topic], streams, from_start=from_start, once=once))


def _print_documents(
    documents: Iterator[dict[str, Any] | None], line: Callable[[dict[str, Any]], str], *, json: bool
) -> None:
    if json:
        _print_json(documents)
        return
    for document in documents:
        if document is not None:
            sys.stdout.write(line(document) + "\n")
            sys.stdout.flush()


def _values(topics: list[str], streams: list[str] | None, *, from_start: bool, once: bool) -> Iterator[object]:
    """Yield what the topics hold, and None whenever nothing came for a moment."""
    start: Start = "earliest" if from_start or once else "latest"
    with consume(*topics, start=start, follow=not once, streams=streams) as reader:
        while not reader.finished:
            try:
                record = reader.read(_REFRESH_S)
            except BadData as error:
                sys.stderr.write(f"tapeline: passed over a bad message: {error} {' '.join(error.__notes__)}\n")
                continue
            yield None if record is None else record.value


def _print_json(documents: Iterator[dict[str, Any]] | Iterator[dict[str, Any] | None]) -> None:
    out = sys.stdout.buffer
    for document in documents:
        if document is None:
            out.flush()
        else:
            out.write(orjson.dumps(document) + b"\n")
    out.flush()


def _tick_rows(frames: Iterator[TickFrame | None], symbols: list[str] | None) -> Iterator[dict[str, Any] | None]:
    for frame in frames:
        if frame is None:
            yield None
            continue
        header = {"source": frame.source, "stream": frame.stream, "kind": frame.kind, "origin": frame.origin}
        for row in frame.rows():
            if not symbols or row["symbol"] in symbols:
                yield header | row


def _show(values: Iterator[T | None], update: Callable[[T], None], table: Callable[[], RenderableType]) -> None:
    """Keep a table of `values` on the terminal; where there is none, print it every other second and at the end."""
    console = Console(width=None if sys.stdout.isatty() else _PRINTED_WIDTH)
    if console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:
            _refresh(values, update, lambda: live.update(table(), refresh=True), _REFRESH_S)
    else:
        _refresh(values, update, lambda: console.print(table()), _PRINT_S)


def _refresh(values: Iterator[T | None], update: Callable[[T], None], show: Callable[[], None], every_s: float) -> None:
    shown_s = time.monotonic()
    for value in values:
        if value is not None:
            update(value)
        if time.monotonic() - shown_s >= every_s:
            show()
            shown_s = time.monotonic()
    show()


class _Flow:
    """What came per stream, kind and symbol."""

    def __init__(self, symbols: list[str] | None) -> None:
        self._symbols = symbols
        self._lines: dict[tuple[str, str, str, str], _Line] = {}

    def update(self, frame: TickFrame) -> None:
        """Take one frame."""
        if not len(frame):
            return
        counts = np.bincount(frame.columns["symbol"], minlength=len(frame.symbols))
        for index, symbol in enumerate(frame.symbols):
            if self._symbols and symbol not in self._symbols:
                continue
            line = self._lines.setdefault((frame.source, frame.stream, frame.kind, symbol), _Line())
            line.take(frame, index, int(counts[index]))

    def table(self) -> Table:
        """Return the table: one line per stream, kind and symbol."""
        table = Table(title="ticks")
        for heading in ("source", "stream", "kind", "symbol", "ticks", "per s", "last price", "at", "origin"):
            table.add_column(heading, justify="right" if heading in ("ticks", "per s", "last price") else "left")
        for key in sorted(self._lines)[:_MOST_LINES]:
            table.add_row(*key, *self._lines[key].cells())
        if len(self._lines) > _MOST_LINES:
            table.caption = f"{len(self._lines) - _MOST_LINES} more are not shown; choose with --stream or --symbol"
        return table


class _Line:
    def __init__(self) -> None:
        self._ticks = 0
        self._began_s = time.monotonic()
        self._price: int | None = None
        self._at_ns = 0
        self._origin = ""

    def take(self, frame: TickFrame, symbol: int, ticks: int) -> None:
        rows = np.flatnonzero(frame.columns["symbol"] == symbol)
        self._ticks += ticks
        self._at_ns = frame.ts_base + int(frame.columns["ts_event"][rows[-1]])
        self._origin = frame.origin
        if "price" in frame.columns:
            defined = np.setdiff1d(rows, frame.undefined.get("price", ()), assume_unique=True)
            if len(defined):
                self._price = int(frame.columns["price"][defined[-1]])

    def cells(self) -> tuple[str, str, str, str, str]:
        return (
            f"{self._ticks:,}",
            f"{self._ticks / max(1.0, time.monotonic() - self._began_s):,.0f}",
            "–" if self._price is None else f"{self._price / 1e9:,.2f}",
            f"{datetime.fromtimestamp(self._at_ns / 1e9, UTC):%Y-%m-%d %H:%M:%S}",
            self._origin,
        )
