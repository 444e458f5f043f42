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


CODE = """
import resource, sys
from pathlib import Path
import llvmlite.binding as llvm
from tapeline.ops.memory import give_back_code
def code_kib():
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    kib = 0
    for line in lines:
        if " r-xp " in line and "/libllvmlite" in line:
            kib += int(next(line for line in lines if line.startswith("Rss:")).split()[1])
    return kib
def compiled():
    module = llvm.parse_assembly("define i64 @f(i64 %x) { %y = add i64 %x, 1 ret i64 %y }")
    machine = llvm.Target.from_default_triple().create_target_machine()
    return len(machine.emit_object(module))
llvm.initialize_native_target()
llvm.initialize_native_asmprinter()
size, before = compiled(), code_kib()
give_back_code(sys.argv[1])
after = code_kib()
assert compiled() == size
print(before, after)
"""


def code_kib(library: str) -> list[int]:
    done = subprocess.run([sys.executable, "-c", CODE, library], capture_output=True, text=True, check=True, timeout=60)
    return [int(number) for number in done.stdout.split()]


def test_code_that_is_given_back_takes_no_memory_and_still_runs() -> None:
    before, after = code_kib("libllvmlite")
    assert before > 10_000
    assert after == 0


def test_only_the_named_library_gives_back() -> None:
    before, after = code_kib("liblvm")
    assert after == before > 10_000
