"""Run the backfill service: ``python -m tapeline_backfill``."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from tapeline.bus.bootstrap import bootstrap_servers
from tapeline.errors import TapelineError
from tapeline.feed.cost_settings import CostSettings
from tapeline.ops.logs import configure_logs, get_logger
from tapeline_backfill.app import run
from tapeline_backfill.recompute import recompute_with
from tapeline_backfill.recompute_sessions import SessionCorrections
from tapeline_backfill.settings import BackfillSettings


def main(arguments: Sequence[str] | None = None) -> int:
    """Do requests until SIGTERM or SIGINT; return the exit code: 0 good, 1 red, 2 settings."""
    argparse.ArgumentParser(
        prog="tapeline-backfill",
        description="Put on the tape what is missing there: do the requests of md.backfill-requests.v1, and tell on"
        " md.backfill-events.v1 what becomes of them.",
        epilog=f"{BackfillSettings.explained()}\n\n{CostSettings.explained()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args(arguments)
    try:
        configure_logs("backfill")
        asyncio.run(_serve(BackfillSettings.load(), bootstrap_servers()))
    except TapelineError as error:
        get_logger("backfill").error("ended", error=str(error), kind=type(error).__name__)
        return error.exit_code
    return 0


async def _serve(settings: BackfillSettings, servers: str) -> None:
    corrections = SessionCorrections(servers, recompute_with(settings, servers))
    correcting = asyncio.create_task(corrections.run())
    try:
        await run(settings, servers, recompute=corrections.recompute)
    finally:
        correcting.cancel()
        await asyncio.gather(correcting, return_exceptions=True)


if __name__ == "__main__":
    sys.exit(main())
