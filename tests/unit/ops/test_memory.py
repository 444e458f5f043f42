"""Freed memory is kept, so that the next buffer costs no page faults."""

from __future__ import annotations

import subprocess
import sys

# Buffers of a size that glibc maps and gives back each time by default, as a frame's are: first one large, so that the
# default's own adapting does not hide the difference.
PROGRAM = """
import resource, sys
from tapeline.ops.memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    buffers = [bytearray(400_000) for _ in range(20)]
before = faults()
for _ in range(100):
    buffers = [bytearray(400_000) for _ in range(20)]
    del buffers
print(faults() - before)
"""


def page_faults(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True, timeout=60)
    return int(done.stdout)


def test_buffers_made_again_cost_no_page_faults() -> None:
    assert page_faults("keep") * 10 < page_faults("default")
