"""A grid with `best_of` as trials of arms: what chooses, what tests, and whether there is anything to choose among."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, ListConfig

from litconv.config.checks import check
from litconv.config.composed import select
from litconv.config.keys import keys_near
from litconv.config.messages import unknown_key
from litconv.errors import ConfigError
from litconv.run.asked import Asked
from litconv.sweep.choice import FIRST_SEED, Trial

Overrides = tuple[str, ...]


@dataclass(frozen=True)
class Grid:
    """A grid of runs as trials of arms. Overrides are as on the command line."""

    keys: tuple[str, ...]  # those that are tuned
    seeds: tuple[int, ...]  # those that choose
    arms: dict[Overrides, dict[tuple[str, ...], Overrides]]  # an arm's overrides → its values → their overrides
    tests: tuple[str, ...]  # the seeds of the grid, as overrides

    @classmethod
    def of(cls, best_of: Any, count: int, axes: Mapping[str, Sequence[str]], points: Sequence[Sequence[str]]) -> "Grid":
        """`axes`: key → its overrides; `points`: of the grid that they span."""
        keys = keys_of(best_of)
        if type(count) is not int or count < 1:
            raise ConfigError(f"tuning_seeds={count} must be a whole number of at least 1")
        seeds = tuple(range(FIRST_SEED, FIRST_SEED + count))
        tests = tuple(axes.get("seed", ()))
        arms: dict[Overrides, dict[tuple[str, ...], Overrides]] = {}
        for point in points:
            by_key = {key_of(override): override for override in point}
            tuned = [by_key.pop(key) for key in keys if key in by_key]
            arm = tuple(override for key, override in by_key.items() if key not in ("seed", "best_of", "tuning_seeds"))
            arms.setdefault(arm, {})[tuple(map(value_of, tuned))] = tuple(tuned)
        return cls(keys, seeds, arms, tests)

    def check(self, config: DictConfig, axes: Mapping[str, Sequence[str]]) -> None:
        """Whether there is something to choose among. `config`: of the whole sweep."""
        for key in self.keys:
            if key == "seed":
                raise ConfigError(
                    "best_of=seed: the best of several seeds is luck, which no test repeats; name what is to be chosen, "
                    "such as best_of=optim.lr"
                )
            values = list(dict.fromkeys(map(value_of, axes.get(key, ()))))
            if not values and select(config, key) is None:
                raise ConfigError(f"best_of={unknown_key(key, keys_near(key, 'train'))}")
            if len(values) < 2:
                only = values[0] if values else select(config, key)
                raise ConfigError(
                    f"best_of={key}: it does not vary, every run has {key}={shown(only)}, and one trial chooses nothing; "
                    f"give it several values, {key}={shown(only)},…, or remove best_of"
                )
        taken = [seed for seed in self.seeds if f"seed={seed}" in self.tests]
        if taken:
            raise ConfigError(
                f"seed={taken[0]} is one of those that choose ({listed_seeds(self.seeds)}), and a seed that chose tests "
                "nothing; leave it out"
            )

    def check_arms(
        self, compose: Callable[[Overrides], DictConfig], name_of: Callable[[list[str]], str | None]
    ) -> None:
        """Every arm has as many trials as values: none on which a key has no effect. `name_of`: a point's run where it is
        known, so that its arm need not be composed."""
        for arm, values in self.arms.items():
            different = {name_of(self.overrides(arm, value, f"seed={self.seeds[0]}")) for value in values}
            if None in different:
                different = {identity(compose((*arm, *tuned)), tuned) for tuned in values.values()}
            if len(different) < len(values):
                raise ConfigError(
                    f"best_of={','.join(self.keys)}: {self.name(arm)} has {len(different)} of the "
                    f"{len(values)} trials that others have, since the key does not change it; choose a key that every arm "
                    "has, or leave the arm out"
                )

    def name(self, arm: Overrides) -> str:
        """What tells it from the other arms."""
        common = set.intersection(*map(set, self.arms))
        return " ".join(override for override in arm if override not in common) or "the one arm"

    def trials(self) -> list[tuple[Overrides, tuple[str, ...], int]]:
        """(arm, value, seed) of each run that chooses, the seeds last."""
        return [(arm, value, seed) for arm, values in self.arms.items() for value in values for seed in self.seeds]

    def overrides(self, arm: Overrides, value: tuple[str, ...], seed: str) -> list[str]:
        return [*arm, *self.arms[arm][value], *([seed] if seed else [])]

    def final(self, chosen: Mapping[Overrides, Trial]) -> list[list[str]]:
        """The runs that test."""
        return [self.overrides(arm, trial.value, s) for arm, trial in chosen.items() for s in self.tests or ("",)]

    def plan(self) -> str:
        counts = [len(self.arms), len(next(iter(self.arms.values()))), len(self.seeds)]
        words = [
            f"{count} {word}{'s' * (count > 1)}" for count, word in zip(counts, ("arm", "value", "seed"), strict=True)
        ]
        product = f"{' × '.join(words)} ({listed_seeds(self.seeds)})"
        tests = len(self.arms) * max(1, len(self.tests))
        return f"best_of={','.join(self.keys)}: {product}, then {tests} run{'s' * (tests > 1)} of what is chosen on validation"


def keys_of(best_of: Any) -> tuple[str, ...]:
    keys = tuple(best_of) if isinstance(best_of, list | tuple | ListConfig) else (best_of,)
    if not keys or not all(isinstance(key, str) and key for key in keys) or len({*keys}) < len(keys):
        raise ConfigError(f"best_of={shown(best_of)} must name keys, such as optim.lr or [optim.lr,optim.weight_decay]")
    return keys


def refuse_swept(best_of: Sequence[str]) -> None:
    if len(best_of) > 1:
        listed = ",".join(map(value_of, best_of))
        raise ConfigError(
            f"best_of={listed} would be a sweep of best_of itself; write several keys as 'best_of=[{listed}]'"
        )


def identity(config: DictConfig, tuned: Overrides) -> str:
    """Equal for points that are one run. A point that can never run is its own: the launcher refuses it."""
    with suppress(ConfigError):
        check(config)
        return Asked.of(config).config_hash
    return " ".join(tuned)


def key_of(override: str) -> str:
    return override.partition("=")[0].lstrip("+")


def value_of(override: str) -> str:
    return override.partition("=")[2]


def shown(value: Any) -> str:
    return "null" if value is None else "" if value == "" else str(value)


def listed_seeds(seeds: Sequence[int]) -> str:
    return str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]}–{seeds[-1]}"
