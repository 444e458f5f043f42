"""What the kernels of this package are compiled by, and what they do beneath the language: copies and promises."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.core import cgutils as untyped_cgutils
from numba.extending import intrinsic

from tapeline.ops import kernels
from tapeline.ops.kernels import Kernels, promise
from tapeline.orderflow.layout import WIDTHS

_intrinsic: Final[Callable[[Callable[..., Any]], Callable[..., Any]]] = intrinsic
_CGUTILS: Final[Any] = untyped_cgutils


_KERNELS: Final = Kernels(Path(__file__).parent)
kernel = _KERNELS.kernel
inlined = _KERNELS.inlined
assume_row = kernels.assume_row


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
                promise(builder, builder.icmp_signed("==", width, width.type(WIDTHS[name])))
        return context.get_dummy_value()

    return types.void(arrays), code
