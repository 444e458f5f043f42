"""The saved-files producer as a service: ``python -m tapeline_saved``, set up by ``TAPELINE_SAVED_<NAME>``."""

from __future__ import annotations

import sys

from tapeline.feed import service
from tapeline_saved.source import SavedSource


def main() -> int:
    """Run until the files are replayed or a signal comes; return the exit code."""
    return service.main(
        SavedSource,
        "Put saved files on the tape: writes md.ticks.saved.v1 and md.chains.saved.v1, until they are replayed.",
    )


if __name__ == "__main__":
    sys.exit(main())
