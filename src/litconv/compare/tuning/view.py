"""A tuning as it is shown: the metric over the tuned key for every arm, or, of several keys or of words, a table of trials."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from litconv.compare.arms import Arm
from litconv.compare.tuning.families import Tuning
from litconv.compare.tuning.keys import as_text
from litconv.sweep.choice import Trial, as_number

LOG_SPAN = 5.0  # largest by smallest value from which on the axis is logarithmic


@dataclass(frozen=True)
class Curve:
    """Of one arm, by rising value; a value that failed with every seed is left out."""

    x: list[float]
    mean: list[float]
    low: list[float]  # the worst and the best of the seeds
    high: list[float]
    chosen: int  # which of them


def is_curve(tuning: Tuning) -> bool:
    """Of one key, all of whose values are numbers."""
    values = [trial.value[0] for family in tuning.families.values() for trial in family.trials]
    return len(tuning.keys) == 1 and all(as_number(value) is not None for value in values)


def is_log(tuning: Tuning) -> bool:
    values = [as_number(trial.value[0]) for family in tuning.families.values() for trial in family.trials]
    return min(values) > 0 and max(values) > LOG_SPAN * min(values)


def curve(tuning: Tuning, arm: Arm) -> Curve:
    family, sign = tuning.of(arm), tuning.metric.sign
    trials = [trial for trial in family.trials if trial.numbers]
    seeds = [[sign(score) for score in trial.numbers] for trial in trials]
    return Curve(
        [as_number(trial.value[0]) for trial in trials],
        [sign(trial.mean) for trial in trials],
        [min(scores) for scores in seeds],
        [max(scores) for scores in seeds],
        trials.index(family.chosen),
    )


def title(tuning: Tuning) -> str:
    """Accuracy over optim.lr"""
    label = tuning.metric.label.partition(" ")[2]
    return f"{label[0].upper()}{label[1:]} over {' and '.join(tuning.keys)}"


def rows(tuning: Tuning, arms: Sequence[Arm]) -> list[dict[str, Any]]:
    """The trials of every arm."""
    return [
        {
            "arm": arm.name,
            "values": [as_text(value) for value in trial.value],
            "mean": tuning.metric.value(tuning.metric.sign(trial.mean)),
            "range": spread(tuning, trial),
            "seeds": f"{len(trial.numbers)} of {len(trial.scores)}" if trial.failed else str(len(trial.scores)),
            "chosen": trial is tuning.of(arm).chosen,
        }
        for arm in arms
        for trial in tuning.of(arm).trials
    ]


def spread(tuning: Tuning, trial: Trial) -> str:
    scores = [tuning.metric.sign(score) for score in trial.numbers]
    return f"{tuning.metric.value(min(scores))} to {tuning.metric.value(max(scores))}" if scores else "failed"
