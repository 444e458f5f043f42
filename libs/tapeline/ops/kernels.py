"""Compile kernels once per version of their package, and keep the machine code on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numba
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

Function = TypeVar("Function", bound=Callable[..., Any])

_CONFIG: Final[Any] = numba.config
_intrinsic: Final[Callable[[Callable[..., Any]], Callable[..., Any]]] = intrinsic

# _nrt: the kernels allocate nothing. With numba's reference counting on, every inlined call would count each array of
# the state up and down, atomically: twenty times the work of the book itself.
_OPTIONS: Final[dict[str, Any]] = {"error_model": "numpy", "_nrt": False}


class Kernels:
    """Compiles the kernels of one package, which is the `folder` of its sources."""

    def __init__(self, folder: Path) -> None:
        # numba checks only the file of the function that it loads, not those of the functions compiled into it: after
        # a change of book.py a cached kernel of pressure.py would go on with the old book. So the sources name the
        # cache's folder.
        self._cache = Path(_CONFIG.CACHE_DIR or folder / "__pycache__") / f"{folder.name}-{_fingerprint(folder)}"

    def kernel(self, function: Function) -> Function:
        """Compile `function` at its first call, or load it from `NUMBA_CACHE_DIR` (default: the package's __pycache__).

        Where that folder cannot be written, numba falls back to the user's own cache folder.
        """
        configured = _CONFIG.CACHE_DIR
        _CONFIG.CACHE_DIR = str(self._cache)
        try:
            return cast(Function, numba.njit(cache=True, **_OPTIONS)(function))
        finally:
            _CONFIG.CACHE_DIR = configured

    @staticmethod
    def inlined(function: Function) -> Function:
        """Compile `function` into each of its callers."""
        return cast(Function, numba.njit(forceinline=True, **_OPTIONS)(function))


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def promise(builder: Any, condition: Any) -> None:
    """Promise the compiler, within an intrinsic, that a condition holds."""
    bit = ir.IntType(1)
    assume = builder.module.declare_intrinsic("llvm.assume", (), ir.FunctionType(ir.VoidType(), [bit]))
    builder.call(assume, [condition])


@_intrinsic
def assume_row(typing_context: Any, row: Any) -> Any:
    """Promise the compiler that an index is not negative: it need not look whether it counts from the end."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        promise(builder, builder.icmp_signed(">=", arguments[0], arguments[0].type(0)))
        return context.get_dummy_value()

    return types.void(types.int64), code
