"""What int8 does to the accuracy: paired by seed with the same network in float32, for every arm and runtime."""

from collections.abc import Sequence
from dataclasses import dataclass

from litconv.compare.arms import Arm
from litconv.compare.deployed.scales import places
from litconv.compare.deployed.scores import name_of, scores
from litconv.compare.inference.statistics import Comparison, compare_all
from litconv.compare.metric import Metric
from litconv.compare.result import Result
from litconv.cost.deployed_keys import Place


@dataclass(frozen=True)
class Change:
    """From float32 to int8, of one arm on one runtime; the differences are int8 − float32."""

    arm: Arm
    place: Place
    float32: float  # means over the seeds that have both
    int8: float
    comparison: Comparison


def changes(result: Result) -> list[Change]:
    """All of them share the 5 % of false claims. Empty where no int8 network was scored."""
    name = name_of(result.metric)
    if name is None:
        return []
    pairs = [
        (arm, place, *paired(result, arm, place, name))
        for place in places(result)
        if place.precision == "int8"
        for arm in result.arms
    ]
    pairs = [(arm, place, int8, float32) for arm, place, int8, float32 in pairs if set(int8) & set(float32)]
    sign = Metric(result.metric.key).sign
    found = compare_all(
        [
            ({s: sign(v) for s, v in int8.items()}, {s: sign(v) for s, v in whole.items()})
            for _, _, int8, whole in pairs
        ],
        result.rule,
    )
    return [
        Change(arm, place, mean(float32, one.seeds), mean(int8, one.seeds), one)
        for (arm, place, int8, float32), one in zip(pairs, found, strict=True)
    ]


def paired(result: Result, arm: Arm, place: Place, name: str) -> tuple[dict[int, float], dict[int, float]]:
    """The scores in int8 and in float32, the latter on the same runtime, or else as the run was tested."""
    float32 = scores(arm, place._replace(precision="float32").key(name))
    return scores(arm, place.key(name)), float32 or scores(arm, f"test/{name}")


def mean(values: dict[int, float], seeds: Sequence[int]) -> float:
    return sum(values[seed] for seed in seeds) / len(seeds)
