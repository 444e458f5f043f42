"""How the C library keeps freed memory."""

from __future__ import annotations

import ctypes
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
