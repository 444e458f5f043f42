"""Times a run over a known number of messages, from inside the framework that is measured; no other packages."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path


class Stopwatch:
    """Take the time between the 10 % mark of BENCH_MESSAGES messages and the last, and write it to BENCH_REPORT."""

    def __init__(self) -> None:
        self._total = int(os.environ["BENCH_MESSAGES"])
        self._skipped = self._total // 10
        self._seen = 0
        self._rows = 0
        self._began_s = 0.0

    def tell(self, rows: int) -> None:
        """Note one message that made so many rows."""
        self._seen += 1
        self._rows += rows
        if self._seen == self._skipped:
            self._began_s = time.perf_counter()
        elif self._seen == self._total:
            seconds = time.perf_counter() - self._began_s
            report = {"messages": self._total - self._skipped, "seconds": seconds, "rows": self._rows}
            path = Path(os.environ["BENCH_REPORT"])
            partial = path.with_suffix(".partial")
            partial.write_text(json.dumps(report))
            partial.replace(path)
