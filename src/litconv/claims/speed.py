"""How long a layer takes on the CPU, measured in turns with the standard convolution of the same channels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from math import exp, log
from typing import Any, NamedTuple

import torch

from litconv.claims.finding import COMPUTED, Finding, Line, all_of
from litconv.claims.hypothesis import Say
from litconv.claims.judged import Pair, answer, compared
from litconv.claims.layers import layer
from litconv.compare.inference.statistics import Rule
from litconv.config.environment import cores
from litconv.cost.measurement import latency
from litconv.device import describe
from litconv.prepare.threads import computing_with


class Setting(NamedTuple):
    channels: int
    kernel_size: int
    shape: tuple[int, int]
    batch: int
    threads: int
    repeats: int
    seconds: float


@dataclass(frozen=True)
class Speed:
    """Log ratios of time, `repeats` measurements each with layers of its own, against the log of a bound: Student's test."""

    says: str
    conv: str
    options: Sequence[Mapping[str, Any]]  # of the operator, a layer each
    at_most: Sequence[float]  # the bounds of their ratios
    channels: int = 128
    kernel_size: int = 3
    size: int = 28  # pixels, high and wide
    batch: int = 8
    threads: Sequence[int] = (1, 0)  # 0: all cores
    repeats: int = 5
    seconds: float = 0.25

    def find(self, say: Say) -> Finding:
        pairs, bounds = [], []
        for threads in dict.fromkeys(number or cores() for number in self.threads):
            place = Setting(
                *(self.channels, self.kernel_size, (self.size, self.size)),
                *(self.batch, threads, self.repeats, self.seconds),
            )
            for options, bound in zip(self.options, self.at_most, strict=True):
                named = ", ".join(f"{key} {value}" for key, value in options.items())
                name = f"{named}; {threads} thread{'s' * (threads > 1)}"
                say(f"measuring {self.conv}, {name}")
                logs = [log(ratio) for ratio in ratios(self.conv, tuple(options.items()), place)]
                pairs.append(Pair(name, dict(enumerate(logs)), dict.fromkeys(range(self.repeats), log(bound))))
                bounds.append(bound)
        found = compared(pairs, Rule(self.repeats, margin=0.0))
        lines = []
        for pair, c, bound in zip(pairs, found, bounds, strict=True):
            ratio, low, high = (bound * exp(value) for value in (c.mean, c.low, c.high))
            text = f"{ratio:.3g} of the standard time ({low:.3g} to {high:.3g}); claimed: at most {bound:.3g}"
            lines.append(Line(pair.label, text, answer(c, "lower"), ratio, low, high))
        right = sum(line.word == "supported" for line in lines)
        shape = f"{self.channels} channels, {self.size}×{self.size} pixels, batch {self.batch}"
        because = f"{right} of {len(lines)} are as fast as claimed ({shape}; {describe(torch.device('cpu'))})"
        rule = (
            f"Student test of {self.repeats} log ratios, Holm-adjusted over {len(lines)}, simultaneous 95 % intervals"
        )
        axis = "time ÷ the standard convolution's"
        word = all_of(line.word for line in lines)
        return Finding(self.says, COMPUTED, word, because, lines, axis, origin=1.0, rule=rule)


@cache
def ratios(conv: str, options: tuple[tuple[str, Any], ...], place: Setting) -> list[float]:
    """Several hypotheses share them."""
    n, shape = place.channels, (place.batch, place.channels, *place.shape)
    found = []
    with computing_with(place.threads):
        for _ in range(place.repeats):
            own, standard = (
                layer(name, dict(chosen), n, n, place.kernel_size).eval()
                for name, chosen in ((conv, options), ("standard", ()))
            )
            measured = latency(
                own, standard, shape, device=torch.device("cpu"), precision="32-true",
                memory_format=torch.channels_last, seconds=place.seconds,
            )  # fmt: skip
            found.append(measured.ratio)
    return found
