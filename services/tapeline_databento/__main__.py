"""The Databento producer as a service: ``python -m tapeline_databento``, set up by ``TAPELINE_DATABENTO_<NAME>``."""

from __future__ import annotations

import asyncio
import sys

from tapeline.errors import TapelineError
from tapeline.feed.service import serve
from tapeline.feed.writer import Totals
from tapeline.ops.logs import configure_logs
from tapeline_databento.settings import DatabentoSettings
from tapeline_databento.source import DatabentoSource


def main() -> int:
    """Run until a signal comes, or an error that no retry mends; return the exit code."""
    try:
        configure_logs("databento")
        settings = DatabentoSettings.load()
        asyncio.run(serve(DatabentoSource(settings), settings, Totals()))
    except TapelineError as error:
        sys.stderr.write(f"tapeline-databento: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
