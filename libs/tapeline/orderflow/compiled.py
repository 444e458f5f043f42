"""Compile kernels once per version of this package, and keep the machine code on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils as untyped_cgutils
from numba.extending import intrinsic

from tapeline.orderflow.layout import WIDTHS

Function = TypeVar("Function", bound=Callable[..., Any])

_CONFIG: Final[Any] = numba.config
_intrinsic: Final[Callable[[Callable[..., Any]], Callable[..., Any]]] = intrinsic
_CGUTILS: Final[Any] = untyped_cgutils
_FOLDER: Final = Path(__file__).parent


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for path in sorted(_FOLDER.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


# numba checks only the file of the function that it loads, not those of the functions compiled into it: after a change
# of book.py a cached kernel of pressure.py would go on with the old book. So the sources name the cache's folder.
_CACHE: Final = Path(_CONFIG.CACHE_DIR or _FOLDER / "__pycache__") / f"orderflow-{_fingerprint()}"


# _nrt: the kernels allocate nothing. With numba's reference counting on, every inlined call would count each array of
# the state up and down, atomically: twenty times the work of the book itself.
_OPTIONS: Final[dict[str, Any]] = {"error_model": "numpy", "_nrt": False}


def kernel(function: Function) -> Function:
    """Compile `function` at its first call, or load it from `NUMBA_CACHE_DIR` (default: this package's __pycache__).

    Where that folder cannot be written, numba falls back to the user's own cache folder.
    """
    configured = _CONFIG.CACHE_DIR
    _CONFIG.CACHE_DIR = str(_CACHE)
    try:
        return cast(Function, numba.njit(cache=True, **_OPTIONS)(function))
    finally:
        _CONFIG.CACHE_DIR = configured


def inlined(function: Function) -> Function:
    """Compile `function` into each of its callers."""
    return cast(Function, numba.njit(forceinline=True, **_OPTIONS)(function))


COPIED_BYTES: Final = 64


@_intrinsic
def copy_bytes(typing_context: Any, target: Any, at: Any, source: Any, start: Any) -> Any:
    """Copy COPIED_BYTES from source[start] to target[at] (uint8 arrays), in a few instructions and unchecked."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        into, into_at, out_of, out_of_at = arguments
        block = ir.VectorType(ir.IntType(8), COPIED_BYTES).as_pointer()
        from_data = context.make_array(signature.args[2])(context, builder, out_of).data
        to_data = context.make_array(signature.args[0])(context, builder, into).data
        value = builder.load(builder.bitcast(builder.gep(from_data, [out_of_at]), block), align=1)
        builder.store(value, builder.bitcast(builder.gep(to_data, [into_at]), block), align=1)
        return context.get_dummy_value()

    return types.void(target, types.int64, source, types.int64), code


@_intrinsic
def move_rows(typing_context: Any, array: Any, start: Any, to: Any, count: Any) -> Any:
    """Move `count` rows of a two-dimensional array from `start` to `to`; the stretches may overlap (memmove)."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rows, start_row, to_row, row_count = arguments
        array_data = context.make_array(signature.args[0])(context, builder, rows)
        row_bytes = builder.extract_value(array_data.strides, 0)
        data = builder.bitcast(array_data.data, ir.IntType(8).as_pointer())
        _CGUTILS.raw_memmove(
            builder,
            builder.gep(data, [builder.mul(to_row, row_bytes)]),
            builder.gep(data, [builder.mul(start_row, row_bytes)]),
            row_count,
            row_bytes,
        )
        return context.get_dummy_value()

    return types.void(array, types.int64, types.int64, types.int64), code


def _promise(builder: Any, condition: Any) -> None:
    bit = ir.IntType(1)
    promise = builder.module.declare_intrinsic("llvm.assume", (), ir.FunctionType(ir.VoidType(), [bit]))
    builder.call(promise, [condition])


@_intrinsic
def assume_row(typing_context: Any, row: Any) -> Any:
    """Promise the compiler that an index is not negative: it need not look whether it counts from the end."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _promise(builder, builder.icmp_signed(">=", arguments[0], arguments[0].type(0)))
        return context.get_dummy_value()

    return types.void(types.int64), code


@_intrinsic
def assume_widths(typing_context: Any, arrays: Any) -> Any:
    """Promise the compiler that the state is as wide as `WIDTHS` says: to find a row is a shift then."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        for number, name in enumerate(arrays.fields):
            if name in WIDTHS:
                array = context.make_array(arrays.types[number])(
                    context, builder, builder.extract_value(arguments[0], number)
                )
                width = builder.extract_value(array.shape, 1)
                _promise(builder, builder.icmp_signed("==", width, width.type(WIDTHS[name])))
        return context.get_dummy_value()

    return types.void(arrays), code
