"""`litconv::deform_conv2d`: deformable convolution as one `torch.library` operation.

Autograd, torch.compile and the cost counters see this one operation, whatever computes it (`deform_kernels`). Coordinates are
float32 (float64 for float64 input) in every precision: bfloat16 holds one of 60 only to a quarter pixel. So is all else, but
for products in the half precisions that a module of `deform_kernels` names in `HALVES`. The output has the precision of x,
under autocast, too. Each module says in which layout it reads `IMAGES` (x and the gradient of y) and `SAMPLES` (offset and
mask). Semantics are those of `torchvision.ops.deform_conv2d`: samples outside
the image are zero.
"""

import logging
import math
import os
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Literal, get_args

import torch
from torch import Tensor

from litconv.conv.deform_kernels import cpp, measured
from litconv.conv.deform_kernels.geometry import Geometry
from litconv.conv.slot import DECLARED_COSTS, PLAIN_FORMS, DeclaredCost, Window
from litconv.errors import ConfigError

log = logging.getLogger(__name__)

Implementation = Literal["auto", "cpp", "gather", "torchvision", "triton"]
ATOMIC = ("torchvision", "triton")  # on GPUs


def require(implementation: str) -> None:
    """Refuse one that does not exist or cannot run on this machine."""
    accepted = get_args(Implementation)
    if implementation not in accepted:
        raise ConfigError(f"conv.implementation={implementation} must be one of {', '.join(accepted)}")
    if implementation == "cpp" and (reason := cpp.why_not()):
        raise ConfigError(f"conv.implementation=cpp cannot run here ({reason}); choose auto or gather")
    if implementation == "triton" and find_spec("triton") is None:
        raise ConfigError("conv.implementation=triton cannot run here (triton is not installed); choose auto")


def chosen(implementation: str, device: torch.device) -> str:
    """What computes the operation there: the one that is asked for, or for `auto` the fastest that this machine has."""
    if implementation == "cpp" and device.type != "cpu":
        raise ConfigError(f"conv.implementation=cpp runs on the CPU, and the model is on {device}; choose auto")
    if implementation == "triton" and device.type == "cpu" and os.environ.get("TRITON_INTERPRET") != "1":
        raise ConfigError("conv.implementation=triton runs on a GPU, and the model is on the CPU; choose auto")
    if implementation != "auto":
        return implementation
    if device.type == "cpu":
        return "gather" if _without_kernel(cpp.why_not()) else "cpp"
    if device.type != "cuda":
        return "gather"
    return "triton" if find_spec("triton") is not None and measured.are_faster(device) else "torchvision"


def unordered(implementation: str, device: torch.device) -> str:
    """Why equal runs can differ there, and the implementation with which they do not; empty where that is this one."""
    name = chosen(implementation, device)
    if name not in ATOMIC or device.type == "cpu":
        return ""
    return (
        f"conv.implementation={name} adds up gradients on {device} in no fixed order; choose conv.implementation=gather"
    )


def _kernels(implementation: str, device: torch.device) -> ModuleType:
    return import_module(f"litconv.conv.deform_kernels.{chosen(implementation, device)}")


@cache
def _without_kernel(reason: str) -> bool:
    if reason:
        log.info("deformable convolutions run in PyTorch, without the faster C++ kernel: %s", reason)
    return bool(reason)


def _wide(
    kernels: ModuleType, x: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """float32 for the half precisions, unless the kernels multiply in those themselves, float64 if any input is; in the
    same pass in the layout that the kernels read."""
    tensors = (x, weight, offset, mask)
    dtype = torch.float64 if any(t is not None and t.dtype == torch.float64 for t in tensors) else torch.float32
    product = x.dtype if dtype == torch.float32 and x.dtype in kernels.HALVES else dtype
    samples = (None if t is None else t.to(dtype, memory_format=kernels.SAMPLES) for t in (offset, mask))
    return (x.to(product, memory_format=kernels.IMAGES), weight.to(product), *samples)


def _dense(t: Tensor, dtype: torch.dtype) -> Tensor:
    """NHWC in memory, as activations and their gradients leave this operation; one pass at most."""
    return t.to(dtype, memory_format=torch.channels_last).contiguous(memory_format=torch.channels_last)


def _empty_output(x: Tensor, weight: Tensor, offset: Tensor) -> Tensor:
    shape = (x.shape[0], weight.shape[0], *offset.shape[-2:])
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)


@torch.library.custom_op("litconv::deform_conv2d", mutates_args=())
def deform_conv2d(
    x: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    offset_groups: int,
    implementation: str = "auto",
) -> Tensor:
    """x (N, Cin, H, W), weight (Cout, Cin/g, Kh, Kw), offset (N, 2·G·Kh·Kw, Ho, Wo) as (y, x) pairs in pixels,
    mask (N, G·Kh·Kw, Ho, Wo) or None → (N, Cout, Ho, Wo)."""
    if x.shape[0] == 0:
        return _empty_output(x, weight, offset)
    kernels = _kernels(implementation, x.device)
    geometry = Geometry(stride, padding, dilation, offset_groups)
    with torch.autocast(x.device.type, enabled=False):
        return _dense(kernels.forward(*_wide(kernels, x, weight, offset, mask), geometry), x.dtype)


@deform_conv2d.register_fake
def _(x, weight, offset, mask, stride, padding, dilation, offset_groups, implementation="auto"):
    return _empty_output(x, weight, offset)


@torch.library.custom_op("litconv::deform_conv2d_backward", mutates_args=())
def _backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    offset_groups: int,
    implementation: str,
) -> list[Tensor]:
    """Gradients of x, weight, offset and, where there is one, mask. The columns are sampled again, not stored."""
    inputs = [t for t in (x, weight, offset, mask) if t is not None]
    if x.shape[0] == 0:
        return [torch.zeros_like(t, memory_format=torch.channels_last) for t in inputs]
    kernels = _kernels(implementation, x.device)
    wide = _wide(kernels, x, weight, offset, mask)
    geometry = Geometry(stride, padding, dilation, offset_groups)
    with torch.autocast(x.device.type, enabled=False):
        gradients = kernels.backward(grad.to(wide[0].dtype, memory_format=kernels.IMAGES), *wide, geometry)
    return [_dense(g, t.dtype) for g, t in zip(gradients, inputs, strict=True)]


@_backward.register_fake
def _(grad, x, weight, offset, mask, stride, padding, dilation, offset_groups, implementation):
    return [torch.empty_like(t, memory_format=torch.channels_last) for t in (x, weight, offset, mask) if t is not None]


def _setup_context(ctx, inputs, output) -> None:
    x, weight, offset, mask, *ctx.arguments = inputs
    ctx.has_mask = mask is not None
    ctx.save_for_backward(x, weight, offset, *([mask] if ctx.has_mask else []))


def _differentiate(ctx, grad: Tensor) -> tuple:
    tensors = [*ctx.saved_tensors, *([] if ctx.has_mask else [None])]
    gradients = _backward(grad, *tensors, *ctx.arguments)
    return (*gradients, *([] if ctx.has_mask else [None]), *[None] * len(ctx.arguments))


deform_conv2d.register_autograd(_differentiate, setup_context=_setup_context)


def _macs(inputs: Sequence[Sequence[int] | None], output: Sequence[int]) -> int:
    """Every output value is a sum over Cin/g·K² samples."""
    return math.prod(output) * math.prod(inputs[1][1:])


def _sampling(inputs: Sequence[Sequence[int] | None], output: Sequence[int]) -> int:
    """Bilinear sampling: four multiplications a sample and channel, one more where there is a mask."""
    (n, channels, *_), (_, _, kh, kw), mask = inputs[0], inputs[1], inputs[3]
    return n * math.prod(output[2:]) * channels * kh * kw * (4 if mask is None else 5)


def _regular_grid(x, weight, offset, mask, stride, padding, dilation, *rest) -> Window:
    """Where training starts: learned offsets have no bound."""
    return Window(weight.shape[2:], stride, dilation, padding)


DECLARED_COSTS["litconv::deform_conv2d"] = DeclaredCost(_macs, _sampling, _regular_grid)


def _of_torchvision(
    x: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    offset_groups: int,
    implementation: str = "auto",
) -> Tensor:
    from torchvision.ops import deform_conv2d as of_torchvision

    geometry = (tuple(stride), tuple(padding), tuple(dilation))
    return of_torchvision(x, offset, weight, None, *geometry, mask)


PLAIN_FORMS["litconv::deform_conv2d"] = _of_torchvision
