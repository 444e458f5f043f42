"""The saved-files producer as a service: ``python -m tapeline_saved``, set up by ``TAPELINE_SAVED_<NAME>``."""

from __future__ import annotations

import asyncio
import sys

from tapeline.errors import TapelineError
from tapeline.feed.service import serve
from tapeline.feed.writer import Totals
from tapeline.ops.logs import configure_logs
from tapeline_saved.settings import SavedSettings
from tapeline_saved.source import SavedSource


def main() -> int:
    """Run until the files are replayed or a signal comes; return the exit code."""
    try:
        configure_logs("saved")
        settings = SavedSettings.load()
        asyncio.run(serve(SavedSource(settings), settings, Totals()))
    except TapelineError as error:
        sys.stderr.write(f"tapeline-saved: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
