"""Sources of option chains, each with a vendor on loopback that gives some."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from tests.integration.barchart.producer import QUICK, ShiftedClock, the_site

from tapeline.feed.source import Source
from tapeline_barchart.settings import BarchartSettings
from tapeline_barchart.source import BarchartSource


@asynccontextmanager
async def _barchart(tmp_path: Path) -> AsyncIterator[Source]:
    clock = ShiftedClock()
    async with the_site(clock) as site:
        given = {**QUICK, "site": site.url, "kept_folder": str(tmp_path / "kept")}
        yield BarchartSource(BarchartSettings.load({}, dotenv=tmp_path / "none", overrides=given), clock)


CHAIN_RIGS: dict[str, Callable[[Path], AbstractAsyncContextManager[Source]]] = {"barchart": _barchart}
"""By name. They carry no streams of ticks, so that nothing of theirs is claimed, framed or resumed."""
