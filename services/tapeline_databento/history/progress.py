"""Showing how a fetch goes, on a terminal: which file, how many of them, and how large it has become."""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from tapeline.feed.cache_entry import CacheRequest
from tapeline_databento.history.query import say_time


class FetchProgress:
    """Shows progress on stderr for as long as the `with` block lasts, if that is a terminal."""

    def __init__(self, total: int) -> None:
        self._grown = _Grown()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            self._grown,
            TimeElapsedColumn(),
            console=Console(file=sys.stderr),
            transient=True,
            disable=not sys.stderr.isatty() or not total,
        )
        self._task = self._progress.add_task("fetching", total=total)
        self._begun = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def begin(self, request: CacheRequest, path: Path) -> None:
        """Show the file that is being fetched to `path`."""
        self._grown.path = path
        self._progress.update(self._task, completed=self._begun, description=say_time(request.start_ns)[:10])
        self._begun += 1


class _Grown(ProgressColumn):
    """Looks, whenever it is drawn, how large the file has become: the vendor's client tells nobody."""

    path: Path | None = None

    def render(self, task: Task) -> Text:
        """Return the file's size."""
        try:
            size = 0 if self.path is None else self.path.stat().st_size
        except FileNotFoundError:
            size = 0
        return Text(decimal(size))
