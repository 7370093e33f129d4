"""What keeps a tuned comparison from being one: nothing to choose among, or more trials for one arm than for another."""

from collections.abc import Collection, Mapping, Sequence

from litconv.compare.settings import Settings
from litconv.compare.tuning.commands import again
from litconv.compare.tuning.keys import shown, values_of
from litconv.compare.tuning.record import Record
from litconv.errors import ConfigError, did_you_mean
from litconv.sweep.choice import Trial


def check_keys(keys: Sequence[str], settings: Collection[Settings]) -> None:
    for key in keys:
        if key == "seed":
            raise ConfigError(
                "best_of=seed: the best of several seeds is luck, which no test repeats; name what was tuned"
            )
        values = {values_of((key,), options)[0] for options in settings}
        if values == {None}:
            known = sorted({name for options in settings for name in options})
            raise ConfigError(
                f"best_of={key}: no run here has such a key{did_you_mean(key, known)}; name one that varies"
            )
        if len(values) == 1:
            raise ConfigError(
                f"best_of={key}: every run here has {shown((key,), tuple(values))}, so that there is nothing to choose; name "
                "a key that varies, or remove best_of"
            )


def check_equal(
    record: Record,
    names: Mapping[str, str],
    trials: Mapping[str, Sequence[Trial]],
    seeds: Mapping[str, Collection[int]],
) -> None:
    """An equal number of trials for each arm, each value with each seed. All by family: what it is called, its trials, and
    the seeds that choose."""
    called, rest = f"best_of={','.join(record.keys)}", f"train the rest{again(record)}"
    for family, shared in seeds.items():
        if not shared:
            raise ConfigError(f"{called}: {names[family]} has no seed that was trained at each of its values; {rest}")
    values = {family: len(own) for family, own in trials.items()}
    fewest, most = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
    if values[most] < 2:
        raise ConfigError(f"{called}: {names[most]} has one trial, and one chooses nothing; give it several values")
    if values[fewest] != values[most]:
        raise ConfigError(
            f"{called}: {names[fewest]} was tried with {values[fewest]} value{'s' * (values[fewest] != 1)} and "
            f"{names[most]} with {values[most]}; only an equal number is fair; {rest}"
        )
    wanted = max(values[family] * len(seeds[family]) for family in trials)
    for family, own in trials.items():
        if (count := sum(len(trial.scores) for trial in own)) < wanted:
            raise ConfigError(
                f"{called}: {names[family]} has {count} of the {wanted} trials (a value with a seed) that each arm needs; {rest}"
            )
