"""Answers that were saved as files before: the newest of a series, where nothing better is to be had."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Final

from tapeline.errors import BadData
from tapeline.feed.barchart.captures import METADATA_SUFFIX, Capture, read_capture
from tapeline.feed.barchart.page import ListedSeries
from tapeline.ops.logs import get_logger
from tapeline_barchart.kept import KeptChain

_SUFFIX: Final = ".json"

log = get_logger("barchart.saved")


@dataclass(frozen=True, slots=True)
class _Known:
    """What was read of a file as it was then: which series it is of, "" where it is none, and when it came (ns)."""

    modified_ns: int
    bytes: int
    vendor_series: str = ""
    fetched_at: int = 0


class SavedFolder:
    """The captures in `folder` and below it; `zone` is that of clocks that name none. Its calls block.

    A file is read again once it has changed: one that was half written is there as soon as it is whole.
    """

    def __init__(self, folder: Path, zone: tzinfo | None) -> None:
        self._folder = folder
        self._zone = zone
        self._known: dict[Path, _Known] = {}

    def newest(self, listed: ListedSeries, now_ns: int) -> KeptChain | None:
        """Return the newest answer of a series that came before `now_ns`, None where there is none."""
        name = listed.series.vendor_series
        self._look()
        # One that came later than now has a clock that was read wrongly.
        found = {
            path: known
            for path, known in self._known.items()
            if known.vendor_series == name and known.fetched_at <= now_ns
        }
        if not found:
            return None
        path = max(found, key=lambda each: (found[each].fetched_at, each))
        capture = self._read(path)
        if capture is None or capture.series.expiry != listed.series.expiry:
            return None
        return KeptChain(
            series=listed.series,
            form="core-api",
            payload=capture.payload,
            fetched_at=capture.fetched_at,
            underlying_price=None,
            date="",
            is_time_assumed=capture.is_zone_assumed,
        )

    def _look(self) -> None:
        seen: dict[Path, _Known] = {}
        for path in self._files():
            try:
                status = path.stat()
            except OSError:
                continue
            known = self._known.get(path)
            if known is None or (known.modified_ns, known.bytes) != (status.st_mtime_ns, status.st_size):
                capture = self._read(path)
                of = ("", 0) if capture is None else (capture.series.vendor_series, capture.fetched_at)
                known = _Known(status.st_mtime_ns, status.st_size, *of)
            seen[path] = known
        self._known = seen

    def _files(self) -> Iterator[Path]:
        for path in sorted(self._folder.rglob(f"*{_SUFFIX}")):
            if not path.name.startswith(".") and not path.name.endswith(METADATA_SUFFIX) and path.is_file():
                yield path

    def _read(self, path: Path) -> Capture | None:
        metadata = path.with_name(path.name.removesuffix(_SUFFIX) + METADATA_SUFFIX)
        try:
            return read_capture(
                path.absolute(),
                path.read_bytes(),
                metadata.read_bytes() if metadata.is_file() else None,
                written_at=path.stat().st_mtime_ns,
                zone=self._zone,
            )
        except (BadData, OSError) as error:
            log.warning("not a capture", file=str(path), reason=str(error))
            return None
