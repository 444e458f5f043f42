"""The Barchart producer as a service: ``python -m tapeline_barchart``, set up by ``TAPELINE_BARCHART_<NAME>``."""

from __future__ import annotations

import sys

from tapeline.feed import service
from tapeline_barchart.source import BarchartSource


def main() -> int:
    """Run until a signal comes, or an error that no retry mends; return the exit code."""
    return service.main(
        BarchartSource,
        "Put Barchart's option chains on the tape: writes md.chains.barchart.v1, until it is stopped. Off by default:"
        " see TAPELINE_BARCHART_ENABLED.",
    )


if __name__ == "__main__":
    sys.exit(main())
