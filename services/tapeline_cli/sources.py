"""The command `tapeline sources`."""

from __future__ import annotations

import sys
from typing import Annotated

import orjson
import typer

from tapeline.feed.registry import list_sources


def sources(json: Annotated[bool, typer.Option("--json", help="One JSON object per source.")] = False) -> None:
    """List the installed sources; one that cannot be used is shown with the reason."""
    for listing in list_sources():
        if json:
            document = {"name": listing.name, "available": listing.available, "reason": listing.reason}
            sys.stdout.write(orjson.dumps(document).decode() + "\n")
        else:
            sys.stdout.write(f"{listing.name:12} {'available' if listing.available else listing.reason}\n")
