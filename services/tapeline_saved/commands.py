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
from tapeline_saved.settings import SavedSettings
from tapeline_saved.source import SavedSource


def replay(
    file: Annotated[str, typer.Argument(help="A .dbn or .dbn.zst file, a folder of them, or - for standard input.")],
    speed: Annotated[float | None, typer.Option(help="Multiple of real speed; 0: as fast as possible.")] = None,
    passes: Annotated[int | None, typer.Option(help="How many times to replay; 0: for ever.")] = None,
    loop: Annotated[bool, typer.Option("--loop", help="Replay for ever.")] = False,
    rebase: Annotated[bool, typer.Option("--rebase", help="Shift each pass so that it begins now.")] = False,
    stream: Annotated[str | None, typer.Option(help="Name of the stream; default: dataset and symbol.")] = None,
    json: Annotated[
        bool, typer.Option("--json", help="End with one JSON object per stream, even after an error.")
    ] = False,
) -> None:
    """Put a saved DBN file on the tape.

    Ctrl-C or SIGTERM stops reading; what was read before is delivered.
    """
    configure_logs("saved", default_level="warning")
    settings = SavedSettings.load(
        overrides={
            "path": file,
            "speed": speed,
            "passes": 0 if loop else passes,
            "rebase": rebase or None,
            "stream": stream,
            "health_port": 0,
        }
    )
    totals = Totals()
    began_s = time.monotonic()
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
            asyncio.run(serve(SavedSource(settings, _Shower(progress)), settings, totals))
    finally:
        _report(file, totals, round(time.monotonic() - began_s, 3), json=json)


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
