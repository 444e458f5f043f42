"""What a failure looked like, kept in a folder that is bounded: screenshot, page and response. Nothing in it is secret.

<folder>/<UTC time>-<reason>/page.png        the screenshot, where one could be taken
                            /page.html       the page as it stood, redacted
                            /response.json   address, status, headers, time, title and error, redacted
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import orjson

from tapeline.errors import Retryable
from tapeline.feed.file_lock import file_lock
from tapeline.ops.logs import get_logger
from tapeline_barchart.redaction import Redaction

SCREENSHOT: Final = "page.png"
PAGE: Final = "page.html"
RESPONSE: Final = "response.json"

_LOCK: Final = ".lock"
_LOCK_WAIT_S: Final = 5.0
_LONGEST_REASON: Final = 40
_LONGEST_TEXT: Final = 4_096

log = get_logger("barchart.captures")


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen of a failure, not yet redacted but for the screenshot, which must show no secret.

    `reason` is a few words, such as ``login refused``; `error` the text of what was raised.
    """

    reason: str
    error: str = ""
    url: str = ""
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    title: str = ""
    html: str | None = None
    screenshot: bytes | None = None


class Captures:
    """The folder of captures, of at most `most_bytes` and `most_captures`: the oldest go first. Its calls block.

    Several processes may share it. Folders are readable by their owner alone, and so are files.
    """

    def __init__(self, folder: Path, *, most_captures: int, most_bytes: int) -> None:
        self.folder = folder.absolute()
        self._most_captures = most_captures
        self._most_bytes = most_bytes

    def save(self, evidence: Evidence, redaction: Redaction, at_ns: int) -> tuple[str, ...]:
        """Keep what was seen at `at_ns` (ns since the epoch); return the names of its files within the folder.

        What alone would be beyond the bound is left out, the largest first. A disk that takes nothing is logged and
        gives no names, as the failure itself is what must be told.
        """
        files = _files(evidence, redaction, at_ns)
        while files and sum(map(len, files.values())) > self._most_bytes:
            largest = max(files, key=lambda name: len(files[name]))
            log.warning("left out of a capture, as it is too large", file=largest, bytes=len(files.pop(largest)))
        if not files or not self._most_captures:
            return ()
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.folder.chmod(0o700)
            with file_lock(self.folder / _LOCK, _LOCK_WAIT_S):
                self._make_room(sum(map(len, files.values())))
                capture = self._new(f"{_moment(at_ns)}-{_word(evidence.reason)}")
                for name, value in files.items():
                    _write(capture / name, value)
        except (OSError, Retryable) as error:
            log.warning("nothing captured", error=type(error).__name__, reason=redaction.text(evidence.reason))
            return ()
        return tuple(f"{capture.name}/{name}" for name in files)

    def _new(self, name: str) -> Path:
        for number in range(1, self._most_captures + 2):
            capture = self.folder / (name if number == 1 else f"{name}-{number}")
            try:
                capture.mkdir(mode=0o700)
            except FileExistsError:
                continue
            return capture
        raise FileExistsError(name)

    def _make_room(self, needed: int) -> None:
        captures = sorted(path for path in self.folder.iterdir() if path.is_dir())
        sizes = {path: sum(file.stat().st_size for file in path.iterdir()) for path in captures}
        while captures and (
            len(captures) >= self._most_captures or sum(sizes[path] for path in captures) + needed > self._most_bytes
        ):
            shutil.rmtree(captures.pop(0))


def _files(evidence: Evidence, redaction: Redaction, at_ns: int) -> dict[str, bytes]:
    files = {} if evidence.screenshot is None else {SCREENSHOT: evidence.screenshot}
    if evidence.html is not None:
        files[PAGE] = redaction.html(evidence.html).encode("utf-8", "replace")
    response = {
        "reason": redaction.text(evidence.reason),
        "at": str(at_ns),
        "url": redaction.text(evidence.url)[:_LONGEST_TEXT],
        "status": evidence.status,
        "headers": redaction.headers(evidence.headers),
        "title": redaction.text(evidence.title)[:_LONGEST_TEXT],
        "error": redaction.text(evidence.error)[:_LONGEST_TEXT],
    }
    files[RESPONSE] = orjson.dumps(response, option=orjson.OPT_INDENT_2)
    return files


def _write(path: Path, value: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(value)


def _moment(at_ns: int) -> str:
    seconds, rest_ns = divmod(at_ns, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y%m%dT%H%M%S}.{rest_ns:09}Z"


def _word(reason: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", reason.lower()).strip("-")[:_LONGEST_REASON] or "failure"
