"""The backfill service with the scripted vendor, as a process of its own."""

from __future__ import annotations

import asyncio

from tests.integration.backfill.scripted import Scripted

from tapeline.bus.bootstrap import bootstrap_servers
from tapeline.ops.logs import configure_logs
from tapeline_backfill.app import run
from tapeline_backfill.settings import BackfillSettings

if __name__ == "__main__":
    configure_logs("backfill")
    asyncio.run(run(BackfillSettings.load(), bootstrap_servers(), load=lambda _: Scripted))
