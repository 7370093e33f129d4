"""Channel numbers to choose from: every layer's share of a width, rounded to a multiple.

`nominal` holds the channels at width 1: those that the backbone's `base_channels` sets, then a head's hidden ones.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import gcd, lcm
from typing import NamedTuple

import torch

from litconv.backbones.stages import to_multiple
from litconv.conv import ConvFactory

PRIME = 61  # no option of an operator is likely to divide it
LARGEST_MULTIPLE = 512
REACH = 8  # roundings of the widest layer, to either side

Sizes = tuple[int, ...]


class Candidate(NamedTuple):
    width: float
    multiple: int
    sizes: Sizes
    trimmed: int | None = None  # index of the layer that is one multiple off its share of the width


def own_multiple(conv: ConvFactory) -> int:
    """The smallest number whose multiples the operator takes, by trying."""
    for multiple in range(1, LARGEST_MULTIPLE + 1):
        channels = PRIME * multiple
        try:
            with torch.device("meta"):
                conv(channels, channels)
                conv(channels, 2 * channels, stride=2)
        except ValueError as error:
            refusal = error
        else:
            return multiple
    raise refusal


def multiples(own: int, usual: int) -> list[int]:
    """From the backbone's usual multiple down to the operator's own: 8, 4, 2, 1 for an operator that takes any."""
    steps = [usual]
    while steps[-1] > 1:
        steps.append(steps[-1] // 2)
    return sorted({lcm(own, step) for step in steps}, reverse=True)


def rounded(nominal: Sequence[float], width: float, multiple: int) -> Sizes:
    return tuple(to_multiple(c * width, multiple) for c in nominal)


def unit(nominal: Sequence[float], multiple: int) -> float:
    """Widths that are whole multiples of it keep the layers' proportions exactly, where channels are whole at width 1."""
    whole = [int(c) for c in nominal if c == int(c)]
    return multiple / gcd(*whole)


def near(nominal: Sequence[float], width: float, multiple: int) -> Iterator[Candidate]:
    """All roundings around a width, the nearest first."""
    largest = max(nominal)
    middle = int(width * largest / multiple)
    low, high = (max(0.0, (middle + side * REACH + 0.5) * multiple / largest) for side in (-1, 1))
    ties = {low, high}
    for c in nominal:
        every = ((k + 0.5) * multiple / c for k in range(int(low * c / multiple), int(high * c / multiple) + 1))
        ties.update(tie for tie in every if low < tie < high)
    edges = sorted(ties)
    for left, right in sorted(pairwise(edges), key=lambda e: max(e[0] - width, width - e[1])):
        inside = readable(left, right)
        yield Candidate(inside, multiple, rounded(nominal, inside, multiple))


def roundings(nominal: Sequence[float], widest: float, multiple: int) -> Iterator[Candidate]:
    """All that widths up to this one come to, the narrowest first; each at its most readable width."""
    ties = {(k + 0.5) * multiple / c for c in nominal for k in range(int(widest * c / multiple) + 1)}
    for left, right in pairwise(
        [multiple / 2 / max(nominal) / 2, *sorted(tie for tie in ties if tie < widest), widest]
    ):
        if left < right:
            inside = readable(left, right)
            yield Candidate(inside, multiple, rounded(nominal, inside, multiple))


def in_proportion(nominal: Sequence[float], width: float, multiple: int) -> Iterator[Candidate]:
    """The widths around this one that keep the layers' proportions, the nearest first."""
    step = unit(nominal, multiple)
    middle = int(width / step)
    for count in sorted(range(max(1, middle - 1), middle + 3), key=lambda count: abs(count * step - width)):
        yield Candidate(count * step, multiple, rounded(nominal, count * step, multiple))


def trims(candidate: Candidate, stages: int, more: bool, share: float) -> Iterator[Candidate]:
    """One multiple more (or less) in one layer of the backbone, where that is at most this share of its channels."""
    for index, size in enumerate(candidate.sizes[:stages]):
        changed = size + (candidate.multiple if more else -candidate.multiple)
        if changed > 0 and candidate.multiple <= share * size:
            sizes = (*candidate.sizes[:index], changed, *candidate.sizes[index + 1 :])
            yield candidate._replace(sizes=sizes, trimmed=index)


def readable(low: float, high: float) -> float:
    """The middle of an interval, with no more digits than it takes to lie inside."""
    middle = (low + high) / 2
    return next((r for digits in range(1, 9) if low < (r := round(middle, digits)) < high), middle)
