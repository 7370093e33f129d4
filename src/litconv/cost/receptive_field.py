"""The theoretical receptive field: the pixels of the image that one value of a feature map can depend on.

Every tensor of a forward carries, for height and width, how far apart its neighbours lie in the image (the jump) and how
many pixels before and after its own an element reaches. A convolution with kernel K, stride s, dilation d, padding p
makes (j, b, a) of them (s·j, b + p·j, a + (d(K−1) − p)·j); branches that meet are united. The size is b + a + 1.
Araujo et al., https://distill.pub/2019/computing-receptive-fields/

Deformable convolutions are taken on their regular grid, where training starts: learned offsets have no bound. What has
seen the whole map (a global mean, the weights of a dynamic convolution) is GLOBAL. Statistics of norms are not followed.
"""

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from math import ceil
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from litconv.conv.slot import DECLARED_COSTS
from litconv.cost.observed import tensors_of
from litconv.cost.products import TORCHVISION


class Axis(NamedTuple):
    jump: Fraction
    before: Fraction
    after: Fraction

    def window(self, taps: int, stride: int, dilation: int, padding: int) -> "Axis":
        reach = dilation * (taps - 1)
        return Axis(self.jump * stride, self.before + self.jump * padding, self.after + self.jump * (reach - padding))

    def spread(self, taps: int, stride: int, dilation: int, padding: int) -> "Axis":
        """A transposed convolution: output o reads the inputs (o + p − d·k)/s."""
        jump = self.jump / stride
        return Axis(jump, self.before + jump * (dilation * (taps - 1) - padding), self.after + jump * padding)

    def shifted(self, start: int, step: int = 1) -> "Axis":
        return Axis(self.jump * step, self.before - self.jump * start, self.after + self.jump * start)

    def enlarged(self, factor: int, neighbours: Callable[[Fraction], tuple[int, int]]) -> "Axis":
        reached = [(Fraction(i, factor), *neighbours(Fraction(i, factor))) for i in range(factor)]
        before = max(at - first for at, first, _ in reached)
        after = max(last - at for at, _, last in reached)
        return Axis(self.jump / factor, self.before + self.jump * before, self.after + self.jump * after)


Field = tuple[Axis, Axis] | Literal["global", "unknown"]
GLOBAL, UNKNOWN = "global", "unknown"
PIXELS: Field = (Axis(Fraction(1), Fraction(0), Fraction(0)),) * 2


def joined(fields: Sequence[Field]) -> Field:
    for extreme in (UNKNOWN, GLOBAL):
        if extreme in fields:
            return extreme
    axes = []
    for parts in zip(*fields, strict=True):
        if len({part.jump for part in parts}) > 1:
            return UNKNOWN
        axes.append(Axis(parts[0].jump, max(p.before for p in parts), max(p.after for p in parts)))
    return tuple(axes)


def size(field: Field) -> int | Literal["global"] | None:
    """In pixels, the larger of height and width; None where an operation without a rule was met."""
    if isinstance(field, str):
        return None if field == UNKNOWN else GLOBAL
    return max(ceil(axis.before + axis.after) + 1 for axis in field)


def windows(field: Field, *sizes: Sequence[int], transposed: bool = False) -> Field:
    """`sizes` are taps, stride, dilation, padding, each of both axes or of one for both."""
    both = [list(s) * 2 if len(s) == 1 else s for s in sizes]
    act = Axis.spread if transposed else Axis.window
    return field if isinstance(field, str) else tuple(map(act, field, *both))


def convolution(field: Field, out, x, weight, bias, stride, padding, dilation, transposed, *rest) -> Field:
    return windows(field, weight.shape[2:], stride, dilation, padding, transposed=transposed)


def pooling(field: Field, out, x, kernel, stride=(), padding=(0,), dilation=(1,), *rest) -> Field:
    dilation = (1,) if isinstance(dilation, bool) else dilation  # avg_pool2d has ceil_mode there
    return windows(field, kernel, stride or kernel, dilation, padding)


def unknown(field: Field, *arguments: Any) -> Field:
    """What has seen everything has seen everything after any operation."""
    return GLOBAL if field == GLOBAL else UNKNOWN


def declared(name: str) -> Callable[..., Field] | None:
    """Of an operation whose file says what it reads."""
    if (cost := (DECLARED_COSTS | TORCHVISION).get(name)) is None or cost.window is None:
        return None
    return lambda field, out, *arguments: windows(field, *cost.window(*arguments))


def padded(field: Field, out, x, pad, *rest) -> Field:
    starts = (pad[2] if len(pad) > 2 else 0, pad[0])
    return field if isinstance(field, str) else tuple(a.shifted(-s) for a, s in zip(field, starts, strict=True))


def sliced(field: Field, out, x, dim=0, start=None, end=None, step=1) -> Field:
    axis = dim - x.ndim if dim >= 0 else dim
    if isinstance(field, str) or axis < -2:
        return field
    first = (start or 0) % x.shape[axis] if (start or 0) < 0 else start or 0
    moved = field[axis].shifted(first, step)
    return (moved, field[1]) if axis == -2 else (field[0], moved)


def enlarged(neighbours: Callable[[Fraction], tuple[int, int]]) -> Callable[..., Field]:
    def rule(field: Field, out, x, *rest) -> Field:
        factors = [Fraction(o, i) for o, i in zip(out.shape[-2:], x.shape[-2:], strict=True)]
        if isinstance(field, str) or any(f.denominator > 1 for f in factors):
            return field if isinstance(field, str) else UNKNOWN
        return tuple(
            axis if f == 1 else axis.enlarged(int(f), lambda at, f=f: neighbours(at + (1 / f - 1) / 2))
            for axis, f in zip(field, factors, strict=True)
        )

    return rule


def reduced(field: Field, out, x, dims=None, *rest) -> Field:
    dims = range(x.ndim) if dims is None or dims == [] else [dims] if isinstance(dims, int) else dims
    return GLOBAL if any(dim % x.ndim >= x.ndim - 2 for dim in dims) else field


def same_place(field: Field, out: Any, *arguments: Any) -> Field:
    """Arithmetic, channels moved about: where the last two axes stay, so does the field."""
    maps = [t for t in tensors_of((*arguments, out)) if t.ndim >= 3]
    kept = len({t.shape[-2:] for t in maps if t.shape[-2:] != (1, 1)}) <= 1
    return field if isinstance(field, str) or kept else UNKNOWN


def permuted(field: Field, out, x, *dims) -> Field:
    order = list(dims[0]) if len(dims) == 1 else list(range(x.ndim))
    if len(dims) == 2:
        order[dims[0]], order[dims[1]] = order[dims[1]], order[dims[0]]
    spatial = [d % x.ndim for d in order][-2:] == [x.ndim - 2, x.ndim - 1]
    return field if spatial or isinstance(field, str) else UNKNOWN


RULES: dict[str, Callable[..., Field]] = {
    "aten::convolution": convolution,
    **dict.fromkeys(("aten::max_pool2d_with_indices", "aten::avg_pool2d"), pooling),
    **dict.fromkeys(("aten::constant_pad_nd", "aten::reflection_pad2d", "aten::replication_pad2d"), padded),
    "aten::slice": sliced,
    **dict.fromkeys(
        ("aten::upsample_nearest2d", "aten::pixel_shuffle"), enlarged(lambda at: (round(at), round(at)))
    ),
    "aten::pixel_unshuffle": lambda field, out, x, factor: windows(field, [factor], [factor], [1], [0]),
    "aten::upsample_bilinear2d": enlarged(lambda at: (at.__floor__(), at.__ceil__())),
    **dict.fromkeys(("aten::mean", "aten::sum", "aten::amax"), reduced),
    **dict.fromkeys(("aten::adaptive_avg_pool2d", "aten::_adaptive_avg_pool2d"), lambda *arguments: GLOBAL),
    **dict.fromkeys(("aten::permute", "aten::transpose"), permuted),
    **dict.fromkeys(
        """aten::_native_batch_norm_legit_no_training aten::native_batch_norm aten::native_group_norm aten::view
        aten::_unsafe_view aten::reshape aten::expand aten::cat aten::stack aten::split aten::split_with_sizes
        aten::chunk aten::unbind aten::select aten::clone aten::alias aten::detach aten::_to_copy aten::unsqueeze
        aten::squeeze aten::_softmax aten::copy_ aten::index_select""".split(),  # noqa: SIM905
        same_place,
    ),
}  # fmt: skip


class FieldsFollowed:
    """An observer of `Observed`: `self[tensor]` is the receptive field of a tensor that comes of `image`."""

    def __init__(self, image: Tensor) -> None:
        image.receptive_field = PIXELS  # on the tensor itself, and with it gone

    def __getitem__(self, tensor: Tensor) -> Field:
        return getattr(tensor, "receptive_field", UNKNOWN)

    def __call__(self, func: Any, args: tuple, kwargs: dict[str, Any], out: Any) -> None:
        first, others = followed(args[:1]), followed((*args[1:], *kwargs.values()))
        if not (first or others):
            return
        name = func.name().partition(".")[0]
        is_pointwise = torch.Tag.pointwise in func.tags
        rule = same_place if is_pointwise else RULES.get(name) or declared(name) or unknown
        # a kernel or offsets that come of the image join what has gone through the window
        field = joined([rule(joined(first or others), out, *args), *others])
        for tensor in tensors_of((out,)):
            tensor.receptive_field = field


def followed(arguments: Iterable[Any]) -> list[Field]:
    return [t.receptive_field for t in tensors_of(arguments) if hasattr(t, "receptive_field")]
