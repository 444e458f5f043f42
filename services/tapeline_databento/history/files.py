"""Giving fetched files names that people can read, in a folder of theirs."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tapeline.feed.cache_entry import CacheRequest

_LONGEST_NAME: Final = 60
_NS_PER_S: Final = 1_000_000_000


def file_name(request: CacheRequest) -> str:
    """Return a name for a request's file: ``NQ-FUT-mbo.20260105T000000-20260106T000000.dbn.zst``.

    What stands before the first dot is the same for all files of a query, so that a replay makes them one stream.
    """
    symbols = "+".join(re.sub(r"[^A-Za-z0-9-]", "-", symbol) for symbol in request.symbols)
    if len(symbols) > _LONGEST_NAME:
        symbols = f"{symbols[:_LONGEST_NAME]}+{len(request.symbols)}"
    span = f"{_compact(request.start_ns)}-{_compact(request.end_ns)}"
    # The books at a midnight, which take no time.
    mark = ".snapshot" if request.end_ns - request.start_ns == 1 else ""
    return f"{symbols}-{request.schema}.{span}{mark}{request.suffix}"


def put(source: Path, folder: Path, name: str) -> Path:
    """Make `source` known in `folder` by `name`, without a copy where the file system can; return its path there."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    new = folder / f".{name}.{secrets.token_hex(4)}"
    try:
        try:
            os.link(source, new)
        except FileNotFoundError:
            raise
        except OSError:
            shutil.copyfile(source, new)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    return path


def _compact(at_ns: int) -> str:
    return f"{datetime.fromtimestamp(at_ns // _NS_PER_S, UTC):%Y%m%dT%H%M%S}"
