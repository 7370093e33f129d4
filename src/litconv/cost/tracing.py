"""Running on the meta device, and tracing there.

fvcore reads TorchScript traces. F.conv2d is recorded there by the `_convolution` that the CPU's implementation calls;
the meta device's does not, and would run inside the trace. Calling `_convolution` itself records it on every device.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

FLAGS = (False, False, False, False)  # cuDNN's: benchmark, deterministic, enabled, TF32


def _spread(value: int | Sequence[int], axes: int) -> list[int]:
    values = [value] if isinstance(value, int) else list(value)
    return values * axes if len(values) == 1 else values


def _plain(axes: int) -> Callable[..., Tensor]:
    def convolve(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
        sizes = (_spread(v, axes) for v in (stride, padding, dilation))
        return torch._convolution(input, weight, bias, *sizes, False, [0] * axes, groups, *FLAGS)

    return convolve


def _transposed(axes: int) -> Callable[..., Tensor]:
    def convolve(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
        sizes = (_spread(v, axes) for v in (stride, padding, dilation))
        return torch._convolution(input, weight, bias, *sizes, True, _spread(output_padding, axes), groups, *FLAGS)

    return convolve


RECORDED = {getattr(torch, f"conv{axes}d"): _plain(axes) for axes in (1, 2, 3)}
RECORDED |= {getattr(torch, f"conv_transpose{axes}d"): _transposed(axes) for axes in (1, 2, 3)}


class ConvolutionsRecorded(TorchFunctionMode):
    """Inside, every F.conv… of batched input is recorded; padding="same" always is, as `_convolution_mode`."""

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if func in RECORDED and not any(isinstance(value, str) for value in (*args, *kwargs.values())):
            return RECORDED[func](*args, **kwargs)
        return func(*args, **kwargs)


def _norm(x: Tensor, *_: Any) -> tuple[Tensor, ...]:
    return torch.empty_like(x), x.new_empty(0), x.new_empty(0)


def _enlarged(x: Tensor, size: Sequence[int], *_: Any) -> Tensor:
    return x.new_empty((*x.shape[:2], *size))


def _same(x: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(x)


def _in_place(x: Tensor, *_: Any) -> Tensor:
    return x


def _arithmetic(x: Tensor, y: Any, *_: Any) -> Tensor | None:
    """Of two alike; what is broadcast or promoted is left to PyTorch."""
    alike = isinstance(y, Tensor) and y.shape == x.shape and y.dtype == x.dtype
    return torch.empty_like(x) if alike else None


ACTIVATIONS = "relu hardswish hardsigmoid hardtanh silu gelu sigmoid leaky_relu elu mish".split()  # noqa: SIM905
SHAPES = {
    **{getattr(torch.ops.aten, name): _same for name in ACTIVATIONS},
    **{getattr(torch.ops.aten, f"{name}_"): _in_place for name in ACTIVATIONS},
    **{getattr(torch.ops.aten, name): _arithmetic for name in ("add", "mul", "sub", "div")},
    torch.ops.aten.native_batch_norm: _norm,
    torch.ops.aten._native_batch_norm_legit_no_training: _norm,
    torch.ops.aten.upsample_bilinear2d: _enlarged,
}


class ShapesAlone(TorchDispatchMode):
    """Inside, these operations on the meta device say no more than the shape of what they return. PyTorch's own way to it
    is dozens of operations in Python, a third of the time that a count takes. A trace has recorded them before."""

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        shape = SHAPES.get(func.overloadpacket) if args and getattr(args[0], "is_meta", False) else None
        out = shape(*args) if shape else None
        return func(*args, **(kwargs or {})) if out is None else out
