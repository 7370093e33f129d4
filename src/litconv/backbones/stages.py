"""What all backbones share: channels at a width, strides and dilations, one operator per stage, places of errors."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf, prod

from torch import nn

from litconv.conv import ConvFactory

NATURAL = 32  # the `output_stride` that leaves a backbone as it is


@dataclass(frozen=True)
class Geometry:
    """Of one stage, and of its first block. Of the blocks after it: `.after`."""

    total_stride: int  # from the image to the output of this stage
    stride: int
    first_dilation: int  # of the convolution that has the stride: it still reads the previous stage's grid
    dilation: int  # of every convolution behind it
    downsamples: bool  # by its nature, even where `output_stride` has taken the stride away

    @property
    def after(self) -> "Geometry":
        return Geometry(self.total_stride, 1, self.dilation, self.dilation, False)


Block = Callable[[ConvFactory, int, int, Geometry], nn.Module]


def plan_strides(stem_stride: int, strides: Sequence[int], output_stride: int) -> list[Geometry]:
    """Strides beyond `output_stride` become dilation (DeepLab, https://arxiv.org/abs/1606.00915).

    The weights stay the same, and every s-th output of the dilated backbone is an output of the strided one.
    """
    natural = stem_stride * prod(strides)
    smaller = [s for s in (1, 2, 4, 8, 16) if stem_stride <= s < natural]
    if output_stride not in (*smaller, NATURAL):
        raise ValueError(
            f"output_stride={output_stride} is not possible with this backbone's own stride of {natural}; "
            f"try {', '.join(map(str, smaller))} or {NATURAL} (which leaves it as it is)"
        )
    total, dilation, plan = stem_stride, 1, []
    for wanted in strides:
        stride = wanted if total * wanted <= output_stride else 1
        first_dilation, dilation = dilation, dilation * wanted // stride
        total *= stride
        plan.append(Geometry(total, stride, first_dilation, dilation, wanted > 1))
    return plan


def choose_channels(published: Sequence[int], width: float, multiple: int, given: Sequence[int]) -> list[int]:
    """The given channels where there are any, else the published ones at this width."""
    if given == () or given == []:
        return scale_channels(published, width, multiple)
    numbers = given if isinstance(given, list | tuple) else ()
    if len(numbers) != len(published) or not all(type(c) is int and c > 0 for c in numbers):
        raise ValueError(
            f"base_channels={given} must be {len(published)} positive whole numbers, such as {list(published)}"
        )
    if width != 1:
        raise ValueError(f"width={width} has no effect: base_channels={list(given)} is given; remove one of them")
    return list(given)


def scale_channels(channels: Sequence[int], width: float, multiple: int) -> list[int]:
    """The published channels at width 1; at any other, each rounded to a multiple."""
    if not (isinstance(width, int | float) and 0 < width < inf):
        raise ValueError(f"width={width} must be greater than 0")
    if not (isinstance(multiple, int) and multiple > 0):
        raise ValueError(f"channel_multiple={multiple} must be a positive whole number")
    return list(channels) if width == 1 else [to_multiple(c * width, multiple) for c in channels]


def to_multiple(channels: float, multiple: int) -> int:
    """The nearest multiple, one at least."""
    return max(1, int(channels / multiple + 0.5)) * multiple


def stage_factories(conv: ConvFactory, stage_convs: Mapping[int, ConvFactory], stages: int) -> list[ConvFactory]:
    numbers = range(1, stages + 1)
    for number in stage_convs:
        if number not in numbers:
            names = ", ".join(map(str, numbers))
            raise ValueError(f"conv_stage{number}: this backbone has {stages} stages ({names})")
    return [stage_convs.get(number, conv) for number in numbers]


def build_stage(
    number: int,
    block: Block,
    conv: ConvFactory,
    channels: tuple[int, int],  # in, out
    repeats: int,
    geometry: Geometry,
) -> nn.Sequential:
    in_channels, out_channels = channels
    stage = nn.Sequential()
    for index in range(repeats):
        with at(f"backbone.stage{number}.{index}"):
            stage.append(block(conv, in_channels, out_channels, geometry))
        in_channels, geometry = out_channels, geometry.after
    return stage


@contextmanager
def at(place: str) -> Iterator[None]:
    """Append the place to a ValueError: "groups=3 must divide … (in backbone.stage2.0)". Nested places are joined."""
    try:
        yield
    except ValueError as error:
        message, inner = getattr(error, "unplaced", (str(error), ()))
        error.unplaced = message, (place, *inner)
        error.args = (f"{message} (in {'.'.join((place, *inner))})",)
        raise
