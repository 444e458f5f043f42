"""Tables that leave out columns where the screen is too narrow for all of them, so that none is cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table

_UNBOUNDED: Final = 10_000

Shape = TypeVar("Shape")


class Fitting(Generic[Shape]):
    """The first of `shapes`, the fullest before the narrowest, whose table fits; the last one where none does.

    `draw` makes a shape's table.
    """

    def __init__(self, shapes: Sequence[Shape], draw: Callable[[Shape], Table]) -> None:
        self._shapes = shapes
        self._draw = draw

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the table that fits the width of `options`."""
        for shape in self._shapes[:-1]:
            table = self._draw(shape)
            if console.measure(table, options=options.update(width=_UNBOUNDED)).maximum <= options.max_width:
                yield table
                return
        yield self._draw(self._shapes[-1])
