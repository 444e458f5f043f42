"""The cache that all sources and processes of a machine share: where it is and how large it may become."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from tapeline.feed.cache import FileCache
from tapeline.feed.ledger import UsageLedger
from tapeline.ops.settings import ServiceSettings
from tapeline.ops.state import state_folder

_DAY_S = 86_400.0


class CacheSettings(ServiceSettings):
    """Settings of the cache, read from ``TAPELINE_CACHE_<NAME>``."""

    service: ClassVar[str] = "cache"

    dir: Path | None = None
    """Its folder; by default `cache` in the state folder."""
    max_bytes: int = Field(default=50 * 2**30, ge=0)
    """Most bytes of files; above it the least recently used are removed."""
    max_age_days: float = Field(default=365.0, gt=0)
    """Files that were not used for so long (days) are removed."""

    def folder(self) -> Path:
        """Return its folder."""
        return self.dir or state_folder() / "cache"


def open_ledger() -> UsageLedger:
    """Return the account of this machine, which does not depend on where the cache is."""
    return UsageLedger(state_folder() / "usage.sqlite3")


def open_cache(settings: CacheSettings, ledger: UsageLedger, now_ns: Callable[[], int]) -> FileCache:
    """Return the cache of these settings."""
    return FileCache(
        settings.folder(),
        ledger,
        now_ns,
        max_bytes=settings.max_bytes,
        max_age_s=settings.max_age_days * _DAY_S,
    )
