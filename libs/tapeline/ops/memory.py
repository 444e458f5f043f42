"""What a process keeps of the memory it does not need at the moment."""

from __future__ import annotations

import ctypes
import mmap
import re
from pathlib import Path
from typing import Final

_TRIM_THRESHOLD: Final = -1  # numbers of glibc's malloc.h
_MMAP_THRESHOLD: Final = -3
_LARGEST_KEPT_BYTES: Final = 32 << 20
_MOST_KEPT_BYTES: Final = 64 << 20


def keep_freed_memory() -> None:
    """Let the allocator keep what was freed, up to 64 MiB, instead of giving it back and asking for it again.

    Frames and their rows take several buffers of hundreds of KiB, which glibc by default maps, or trims off its heap,
    each time anew: some 250 page faults per frame, a quarter of the processor's time. Where the C library is not
    glibc nothing changes.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)
    mallopt(_TRIM_THRESHOLD, _MOST_KEPT_BYTES)


_MAPS: Final = Path("/proc/self/maps")


def give_back_code(library: str) -> None:
    """Take the code of a loaded library (how its file's name begins) out of the process' memory.

    For what is used at the start only, as LLVM is: some 50 MB. The pages are those of the file, so the kernel reads one
    again should it be used after all; what the process has written is not touched. Where there is no /proc nothing
    changes.
    """
    mapped = re.compile(rf"([0-9a-f]+)-([0-9a-f]+) r-xp .*/{re.escape(library)}[^/]*", re.ASCII)
    try:
        madvise = ctypes.CDLL(None).madvise
        maps = _MAPS.read_text()
    except (AttributeError, OSError):
        return
    madvise.argtypes = (ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int)
    for line in maps.splitlines():
        if found := mapped.fullmatch(line):
            begin, end = (int(address, 16) for address in found.groups())
            madvise(begin, end - begin, mmap.MADV_DONTNEED)
