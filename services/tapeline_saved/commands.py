"""The command `tapeline replay`."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from tapeline.feed.service import serve
from tapeline.feed.writer import Totals
from tapeline.ops.logs import configure_logs
from tapeline_saved.chain_line import TOPIC, ChainTotals
from tapeline_saved.settings import SavedSettings
from tapeline_saved.source import SavedSource


def replay(
    file: Annotated[
        str,
        typer.Argument(
            help="A .dbn or .dbn.zst file, an answer of Barchart's (.json), a file of `tapeline capture`"
            " (.chains.ndjson, .frames.ndjson), a folder of such, or - for DBN on standard input."
        ),
    ],
    speed: Annotated[float | None, typer.Option(help="Multiple of real speed; 0: as fast as possible.")] = None,
    passes: Annotated[int | None, typer.Option(help="How many times to replay; 0: for ever.")] = None,
    loop: Annotated[bool, typer.Option("--loop", help="Replay for ever.")] = False,
    rebase: Annotated[bool, typer.Option("--rebase", help="Shift each pass so that it begins now.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Stay, and take in the chain files that come into the folder.")
    ] = False,
    stream: Annotated[str | None, typer.Option(help="Name of the stream; default: dataset and symbol.")] = None,
    json: Annotated[
        bool, typer.Option("--json", help="End with one JSON object per stream, even after an error.")
    ] = False,
) -> None:
    """Put saved files on the tape: ticks of DBN files, and option chains.

    Ctrl-C or SIGTERM stops reading; what was read before is delivered. A chain file that cannot be read becomes a dead
    letter and the rest goes on; the exit code is then 1.
    """
    configure_logs("saved", default_level="warning")
    settings = SavedSettings.load(
        overrides={
            "path": file,
            "speed": speed,
            "passes": 0 if loop else passes,
            "rebase": rebase or None,
            "watch": watch or None,
            "stream": stream,
            "health_port": 0,
        }
    )
    totals = Totals()
    began_s = time.monotonic()
    source: SavedSource | None = None
    try:
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TimeElapsedColumn(),
            console=Console(file=sys.stderr),
            transient=True,
            disable=not sys.stderr.isatty(),
        ) as progress:
            source = SavedSource(settings, _Shower(progress))
            asyncio.run(serve(source, settings, totals))
    finally:
        seconds = round(time.monotonic() - began_s, 3)
        _report(file, totals, seconds, json=json)
        if source is not None:
            _report_chains(file, source.chains, seconds, json=json)
    if source.chains.dead_letters:
        raise typer.Exit(1)


def _report_chains(file: str, chains: ChainTotals, seconds: float, *, json: bool) -> None:
    if not (chains.chains or chains.dead_letters):
        return
    if json:
        document = {
            "file": file,
            "topic": TOPIC,
            "chains": chains.chains,
            "dead_letters": chains.dead_letters,
            "seconds": seconds,
        }
        sys.stdout.write(orjson.dumps(document).decode() + "\n")
    else:
        bad = f", {chains.dead_letters:,} could not be read" if chains.dead_letters else ""
        sys.stdout.write(f"{file} -> {TOPIC}: {chains.chains:,} chains{bad}, {seconds} s\n")


def _report(file: str, totals: Totals, seconds: float, *, json: bool) -> None:
    for stream, ticks in totals.ticks.items():
        frames = totals.frames[stream]
        if json:
            document = {"file": file, "stream": stream, "ticks": ticks, "frames": frames, "seconds": seconds}
            sys.stdout.write(orjson.dumps(document).decode() + "\n")
        else:
            sys.stdout.write(f"{file} -> {stream}: {ticks:,} ticks in {frames:,} frames, {seconds} s\n")


class _Shower:
    """Shows how far the file in hand is read; called from the reading thread."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._name = ""
        self._task = progress.add_task("connecting", total=None)

    def __call__(self, name: str, bytes_read: int) -> None:
        if name != self._name:
            self._name = name
            path = Path(name)
            total = path.stat().st_size if path.is_file() else None
            self._progress.reset(self._task, total=total, description=path.name)
        self._progress.update(self._task, completed=bytes_read)
