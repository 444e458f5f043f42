"""A producer's process begins again where another attempt may help."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.integration.feed.vendor import LiveSettings, LiveSource, Vendor, market
from tests.integration.saved.tape import SavedTape

from tapeline.errors import Retryable
from tapeline.feed.service import serve
from tapeline.feed.source import Line
from tapeline.feed.writer import Totals


class Hesitant(LiveSource):
    """Has its lines at the second attempt."""

    attempts = 0

    def lines(self) -> Sequence[Line]:
        self.attempts += 1
        if self.attempts == 1:
            raise Retryable("the partition is served by nobody yet")
        return super().lines()


async def test_any_error_that_another_attempt_may_mend_is_one(
    tape: SavedTape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", tape.servers)
    source = Hesitant(Vendor(market(30), []))
    settings = LiveSettings.load({}, dotenv=tmp_path / "no.env", overrides={"health_port": 0})
    await serve(source, settings, Totals())  # type: ignore[arg-type]
    assert source.attempts == 2
    assert tape.ticks() > 0
