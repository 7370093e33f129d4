"""The Triton kernels in Triton's interpreter: python tests/triton_process.py 1 5 prints errors against torchvision as JSON, of
the cases that are always checked and of these geometries.

A process of its own: Triton decides when it is imported whether its own functions are compiled or interpreted.
"""

import json
import os
import sys
from functools import partial
from math import lcm

os.environ["TRITON_INTERPRET"] = "1"

import numpy as np
import torch
from torch import Tensor
from triton.language import bfloat16, float32
from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

from deform_cases import GEOMETRIES, ours, relative_error, tensors, theirs, with_gradients
from litconv.conv.deform_kernels import triton as kernels

PRECISIONS = {
    "float64": (torch.double, False),
    "float32": (torch.float, False),
    "TF32": (torch.float, True),  # the interpreter's products are exact
    "bf16": (torch.bfloat16, False),
    "fp16": (torch.half, False),
}
# (groups, offset groups, modulated, kernel, stride, padding, dilation)
ALL_AT_ONCE = (2, 2, True, (2, 2), (2, 1), (1, 0), (1, 2))
UNEVEN = (3, 2, False, (1, 2), (1, 1), (0, 1), (1, 1))  # a group ends inside an offset group
POINTWISE = (1, 2, False, (1, 1), (1, 1), (0, 0), (1, 1))


def errors(precision: str, geometry: tuple, inputs: list[Tensor | None]) -> dict[str, float]:
    """x and the weight are of that precision; the reference computes in float64 from the same values."""
    dtype, torch.backends.cuda.matmul.allow_tf32 = PRECISIONS[precision]
    samples = torch.double if dtype == torch.double else torch.float
    given = [t if t is None else t.detach().to(dtype if i < 2 else samples) for i, t in enumerate(inputs)]
    mine = with_gradients(partial(ours, implementation="triton"), given, geometry)
    exact = with_gradients(theirs, [t if t is None else t.double() for t in given], geometry)
    return {name: relative_error(mine[name], t) for name, t in exact.items()}


def tensor_core_sized(geometry: tuple) -> list[Tensor | None]:
    """16 channels at least share a group and an offset group."""
    return tensors(geometry, 1.0, c=16 * lcm(*geometry[:2]), size=(5, 6))


def many() -> list[Tensor | None]:
    """More channels, outputs and pixels than a tile holds."""
    inputs = tensors(POINTWISE, 1.0, c=144, size=(9, 9))
    inputs[1] = torch.randn(70, 144, 1, 1, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    return inputs


def without_numbers(precision: str) -> dict[str, float]:
    """Offsets that are NaN give NaN where they are, and infinite ones zero: the share of outputs where that is not so."""
    dtype, torch.backends.cuda.matmul.allow_tf32 = PRECISIONS[precision]
    x, weight, offset, _ = (t if t is None else t.detach().to(dtype) for t in tensor_core_sized(POINTWISE))
    offset[:, :, 0, 0], offset[:, :, 0, 1], offset[:, :, 0, 2] = float("nan"), float("inf"), -float("inf")
    y = ours(x, weight, offset, None, POINTWISE, "triton")
    wrong = y.isnan()
    wrong[:, :, 0, 0] ^= True
    return {"output": (wrong.float().mean() + (y[:, :, 0, 1:3] != 0).float().mean()).item()}


def _with_values(product):
    """Triton 3.5 to 3.9 multiply the bits of bfloat16 here, as if they were whole numbers."""

    def values(t: TensorHandle) -> TensorHandle:
        if t.dtype.scalar != bfloat16:
            return t
        return TensorHandle((t.data.astype(np.uint32) << 16).view(np.float32), float32)

    return lambda builder, a, b, *rest: product(builder, values(a), values(b), *rest)


def main() -> None:
    InterpreterBuilder.create_dot = _with_values(InterpreterBuilder.create_dot)
    found = {f"all at once {p}": errors(p, ALL_AT_ONCE, tensor_core_sized(ALL_AT_ONCE)) for p in PRECISIONS}
    found["uneven groups float64"] = errors("float64", UNEVEN, tensors(UNEVEN, 1.0, c=12))
    found["uneven groups bf16"] = errors("bf16", UNEVEN, tensor_core_sized(UNEVEN))
    found |= {f"not a number {p}": without_numbers(p) for p in ("float32", "TF32")}
    kernels.COLUMN_BYTES, kernels.INDEXES = 2**16, 2 * 81 * 144  # several parts, and one image at a time
    found |= {f"many {p}": errors(p, POINTWISE, many()) for p in ("float32", "TF32")}
    for index in map(int, sys.argv[1:]):
        for precision in PRECISIONS:
            found[f"{index} {precision}"] = errors(precision, GEOMETRIES[index], tensor_core_sized(GEOMETRIES[index]))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
