"""The Databento producer as a service: ``python -m tapeline_databento``, set up by ``TAPELINE_DATABENTO_<NAME>``."""

from __future__ import annotations

import sys

from tapeline.feed import service
from tapeline_databento.source import DatabentoSource


def main() -> int:
    """Run until a signal comes, or an error that no retry mends; return the exit code."""
    return service.main(
        DatabentoSource, "Put Databento's live feed on the tape: writes md.ticks.databento.v1, until it is stopped."
    )


if __name__ == "__main__":
    sys.exit(main())
