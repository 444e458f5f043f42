"""What of this computer the producer needs: Chromium, the count of calls, the folder of kept chains."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tapeline.errors import Misconfigured
from tapeline.feed.doctor import Check
from tapeline_barchart.chromium import chromium_version, find_chromium
from tapeline_barchart.following import followed, parse_follow
from tapeline_barchart.kept import KeptChains
from tapeline_barchart.limits import CallLimit
from tapeline_barchart.settings import BarchartSettings

CHROMIUM: Final = "chromium"
CALLS: Final = "calls"
CACHE: Final = "cache"

_FEW: Final = 4
"""With fewer calls left, one examination takes the last: the producer would wait."""


def chromium_check(path: Path | None, *, is_needed: bool) -> Check:
    """Return whether there is a Chromium that runs; one that is not needed may be missing. Blocks."""
    try:
        program = find_chromium(path)
        return Check(CHROMIUM, "ok", f"{chromium_version(program)} ({program})")
    except Misconfigured as error:
        what, _, remedy = str(error).partition(": ")
        if not is_needed:
            return Check(CHROMIUM, "skipped", f"{what}, and this way in needs none")
        return Check(CHROMIUM, "red", what, remedy)


async def calls_check(limit: CallLimit, calls_per_minute: int, now_ns: int) -> Check:
    """Return how many calls are left of those within a minute, and whether the host wants to be left alone."""
    try:
        used = await limit.used()
        quiets = [quiet for cause in ("throttled", "breaker") if (quiet := await limit.quiet(cause)) is not None]
    except Misconfigured as error:
        return Check(CALLS, "red", str(error), "mend what is named there; nothing is called without it")
    rest_s, reason = max(((quiet.rest_s(now_ns), quiet.reason) for quiet in quiets), default=(0.0, ""))
    if rest_s:
        return Check(
            CALLS,
            "red",
            f"nothing is called for another {rest_s:,.0f} s: {reason}",
            "wait for so long; if it comes back, set TAPELINE_BARCHART_CALLS_PER_MINUTE lower",
        )
    left = max(calls_per_minute - used, 0)
    detail = f"{left} of {calls_per_minute} calls within a minute are left, for all processes of this computer"
    if left < _FEW:
        return Check(CALLS, "warning", f"{detail}; what is asked now waits for its turn", "wait for a minute")
    return Check(CALLS, "ok", detail)


def cache_check(settings: BarchartSettings, now_ns: int) -> Check:
    """Return what is kept of the series that are followed, and whether more can be. Blocks."""
    folder = settings.kept_path
    if fault := _not_writable(folder):
        return Check(CACHE, "red", fault, f"make {folder} writable, or name another in TAPELINE_BARCHART_KEPT_FOLDER")
    kept, said = KeptChains(folder), []
    for product in settings.product_list:
        listed = kept.get_list(product)
        if listed is None:
            continue
        said.append(f"the list of {product} ({len(listed.series)} series, {_age(listed.read_at, now_ns)})")
        for each in followed(listed.series, parse_follow(settings.series), now_ns):
            name = each.series.vendor_series
            if (chain := kept.get(name)) is not None:
                said.append(f"{name} ({_age(chain.fetched_at, now_ns)})")
    return Check(CACHE, "ok", f"{folder} holds {_words(said)}")


def _not_writable(folder: Path) -> str:
    """Return why nothing can be kept in a folder, ``""`` where it can."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        return f"{there} is not a folder"
    return "" if os.access(there, os.W_OK | os.X_OK) else f"{there} cannot be written to"


def _age(at_ns: int, now_ns: int) -> str:
    return f"{(now_ns - at_ns) / 60e9:,.0f} min old"


def _words(said: Sequence[str]) -> str:
    return ", ".join(said) or "nothing of what is followed yet"
