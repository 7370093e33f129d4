"""How long a layer takes, measured in turns with the standard convolution of the same channels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, log

import torch

from litconv.claims.finding import COMPUTED, Finding, Line, all_of
from litconv.claims.hypothesis import Say
from litconv.claims.judged import Pair, answer, compared
from litconv.claims.layers import layer
from litconv.compare.inference.statistics import Rule
from litconv.config.environment import cores
from litconv.cost.measurement import latency
from litconv.device import describe


@dataclass(frozen=True)
class Speed:
    """Log ratios of time, `repeats` measurements each with copies of its own, against the log of a bound: Student's test."""

    says: str
    layers: Mapping[str, Mapping[str, object]]  # label → {conv: name, options…, at_most: bound of the ratio}
    channels: int = 128
    kernel_size: int = 3
    size: int = 28  # pixels, high and wide
    batch: int = 8
    threads: Sequence[int] = (1, 0)  # 0: all cores
    repeats: int = 5
    seconds: float = 0.25

    def find(self, say: Say) -> Finding:
        before = torch.get_num_threads()
        pairs, bounds = [], []
        try:
            for threads in dict.fromkeys(count or cores() for count in self.threads):
                torch.set_num_threads(threads)
                for label, asked in self.layers.items():
                    say(f"measuring {label}, {threads} threads")
                    own = dict(asked)
                    bound = float(own.pop("at_most"))
                    ratios = [log(self.ratio(str(own["conv"]), own)) for _ in range(self.repeats)]
                    bounds.append(bound)
                    name = f"{label}, {threads} thread{'s' * (threads > 1)}"
                    pairs.append(Pair(name, dict(enumerate(ratios)), dict.fromkeys(range(self.repeats), log(bound))))
        finally:
            torch.set_num_threads(before)
        found = compared(pairs, Rule(self.repeats, margin=0.0))
        lines = []
        for pair, c, bound in zip(pairs, found, bounds, strict=True):
            ratio, low, high = (bound * exp(value) for value in (c.mean, c.low, c.high))
            text = f"{ratio:.2f} of the standard convolution's time ({low:.2f} to {high:.2f}); at most {bound:.3g} is claimed"
            lines.append(Line(pair.label, text, answer(c, "lower"), ratio, low, high))
        right = sum(line.word == "supported" for line in lines)
        shape = f"{self.channels} channels, {self.size}×{self.size} pixels, batch {self.batch}"
        because = f"{right} of {len(lines)} are as fast as claimed ({shape}; {describe(torch.device('cpu'))})"
        rule = (
            f"Student test of {self.repeats} log ratios, Holm-adjusted over {len(lines)}, simultaneous 95 % intervals"
        )
        axis = "time ÷ the standard convolution's"
        return Finding(self.says, COMPUTED, all_of(line.word for line in lines), because, lines, axis, rule=rule)

    def ratio(self, conv: str, asked: Mapping[str, object]) -> float:
        options = {key: value for key, value in asked.items() if key != "conv"}
        own, standard = (
            layer(name, chosen, self.channels, self.channels, self.kernel_size).eval()
            for name, chosen in ((conv, options), ("standard", {}))
        )
        shape = (self.batch, self.channels, self.size, self.size)
        return latency(
            own, standard, shape, device=torch.device("cpu"), precision="32-true",
            memory_format=torch.channels_last, seconds=self.seconds,
        ).ratio  # fmt: skip
