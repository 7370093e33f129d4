"""A forward, told operation by operation, and on the meta device by shapes alone.

On the meta device PyTorch's own way to a shape is dozens of operations in Python, most of the time that a count takes. The
shapes of frequent operations are written here.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

Observer = Callable[[Any, tuple, dict[str, Any], Any], None]  # the operation, its arguments, what it returned


def _like(x: Tensor) -> Tensor:
    return x.new_empty(x.shape) if x.is_contiguous() else torch.empty_like(x)  # whose way on meta is Python


def _norm(x: Tensor, *_: Any) -> tuple[Tensor, ...]:
    none = x.new_empty(0)
    return _like(x), none, none


def _mean(x: Tensor, axes: Sequence[int] | None = None, keep: bool = False, *_: Any) -> Tensor | None:
    if not axes or not x.is_floating_point():
        return None
    reduced = {axis % x.ndim for axis in axes}
    return x.new_empty([1 if i in reduced else n for i, n in enumerate(x.shape) if keep or i not in reduced])


def _joined(parts: Sequence[Tensor], axis: int = 0) -> Tensor | None:
    first, axis = parts[0], axis % max(parts[0].ndim, 1)
    rest = {(part.dtype, part.shape[:axis], part.shape[axis + 1 :]) for part in parts}
    if len(rest) > 1 or not first.ndim:
        return None
    return first.new_empty((*first.shape[:axis], sum(part.shape[axis] for part in parts), *first.shape[axis + 1 :]))


def _enlarged(x: Tensor, size: Sequence[int], *_: Any) -> Tensor:
    return x.new_empty((*x.shape[:2], *size))


def _same(x: Tensor, *_: Any) -> Tensor:
    return _like(x)


def _in_place(x: Tensor, *_: Any) -> Tensor:
    return x


def _arithmetic(x: Tensor, y: Any, *_: Any) -> Tensor | None:
    """Of one dtype, the second of the first one's shape or with axes of length 1; all else is left to PyTorch."""
    return _like(x) if _fits(x, y) else None


def _arithmetic_in_place(x: Tensor, y: Any, *_: Any) -> Tensor | None:
    return x if _fits(x, y) else None


def _fits(x: Tensor, y: Any) -> bool:
    if not isinstance(y, Tensor) or y.dtype != x.dtype or y.ndim != x.ndim:
        return False
    return y.shape == x.shape or all(b in (a, 1) for a, b in zip(x.shape, y.shape, strict=True))


def _convolved(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
    *_: Any,
) -> Tensor | None:
    """None for what PyTorch refuses or reads in another way, so that its own words are heard."""
    space, kernel = x.shape[2:], weight.shape[2:]
    read = weight.shape[0] if transposed else weight.shape[1] * groups
    if x.ndim != weight.ndim or x.shape[1] != read or len({len(space), *map(len, (stride, padding, dilation))}) > 1:
        return None
    axes = range(len(space))
    reach = [dilation[i] * (kernel[i] - 1) for i in axes]
    if transposed:
        if len(output_padding) != len(space):
            return None
        sizes = [(space[i] - 1) * stride[i] - 2 * padding[i] + reach[i] + output_padding[i] + 1 for i in axes]
    else:
        sizes = [(space[i] + 2 * padding[i] - reach[i] - 1) // stride[i] + 1 for i in axes]
    channels = weight.shape[1] * groups if transposed else weight.shape[0]
    return x.new_empty((x.shape[0], channels, *sizes)) if min(sizes) > 0 else None


ACTIVATIONS = "relu hardswish hardsigmoid hardtanh silu gelu sigmoid leaky_relu elu mish".split()  # noqa: SIM905
SHAPES: dict[Any, Callable[..., Any]] = {
    **{getattr(torch.ops.aten, name): _same for name in ACTIVATIONS},
    **{getattr(torch.ops.aten, f"{name}_"): _in_place for name in ACTIVATIONS},
    **{getattr(torch.ops.aten, name): _arithmetic for name in ("add", "mul", "sub", "div")},
    **{getattr(torch.ops.aten, name): _arithmetic_in_place for name in ("add_", "mul_", "sub_", "div_")},
    torch.ops.aten.convolution: _convolved,
    torch.ops.aten.mean: _mean,
    torch.ops.aten.cat: _joined,
    torch.ops.aten.native_batch_norm: _norm,
    torch.ops.aten._native_batch_norm_legit_no_training: _norm,
    torch.ops.aten.upsample_bilinear2d: _enlarged,
}


class Observed(TorchDispatchMode):
    """Inside, every operation is told to each observer after it has run."""

    def __init__(self, *observers: Observer) -> None:
        super().__init__()
        self.observers = observers

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        first = args[0] if args else None
        first = first[0] if isinstance(first, list | tuple) and first else first
        shape = SHAPES.get(func.overloadpacket) if getattr(first, "is_meta", False) else None
        out = shape(*args) if shape else None
        if out is None:
            if torch.is_inference_mode_enabled():  # elsewhere PyTorch itself runs what is made of others as its parts
                with self:
                    parts = func.decompose(*args, **kwargs)
                if parts is not NotImplemented:
                    return parts
            out = func(*args, **kwargs)
        for observe in self.observers:
            observe(func, args, kwargs, out)
        return out


def tensors_of(values: Iterable[Any]) -> Iterator[Tensor]:
    """Of an operation's arguments or results, lists looked into."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from (part for part in value if isinstance(part, Tensor))
