"""`best_of=optim.lr`: a sweep in two stages. First all of the grid, with seeds that do nothing but choose; then, of each arm, the
value that did best on validation, with the seeds of the grid. Every arm has the same number of trials, the reference too.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path

from litconv.config.environment import arguments
from litconv.files import write_whole
from litconv.sweep.choice import Edge, Trial, best, edges
from litconv.sweep.tuned_grid import Grid, Overrides

FILE = "tuning.json"  # in the sweep's folder


@dataclass(frozen=True)
class Tuned:
    """What the trials of a grid came to."""

    grid: Grid
    trials: dict[Overrides, list[Trial]]

    @classmethod
    def of(cls, grid: Grid, results: Sequence[tuple[float, float] | None]) -> "Tuned":
        """`results`: (score, MACs) of each of the grid's trials, None of one that failed."""
        scores: dict[Overrides, dict[tuple[str, ...], dict[int, tuple[float, float] | None]]] = {}
        for (arm, value, seed), result in zip(grid.trials(), results, strict=True):
            scores.setdefault(arm, {}).setdefault(value, {})[seed] = result
        return cls(grid, {arm: [trial(v, by_seed) for v, by_seed in own.items()] for arm, own in scores.items()})

    @property
    def chosen(self) -> dict[Overrides, Trial]:
        """Of each arm that has one."""
        found = {arm: best(trials) for arm, trials in self.trials.items()}
        return {arm: trial for arm, trial in found.items() if trial is not None}

    @property
    def without(self) -> list[str]:
        """The arms of which every trial failed."""
        return [self.grid.name(arm) for arm in self.trials if arm not in self.chosen]

    def edges(self, arm: Overrides) -> list[Edge]:
        return edges(self.grid.keys, self.trials[arm], self.chosen[arm])

    def lines(self) -> list[str]:
        """What was chosen, an arm a line."""
        said = []
        for arm, trial in self.chosen.items():
            values = " ".join(f"{k}={v}" for k, v in zip(self.grid.keys, trial.value, strict=True))
            others = ", ".join(f"{' '.join(t.value)}: {score(t)}" for t in self.trials[arm] if t is not trial)
            at = "".join(f"; {e.key}={e.value} is the {e.side} that was tried" for e in self.edges(arm))
            said.append(f"{self.grid.name(arm)}: {values} chosen, {score(trial)} on validation ({others}){at}")
        return said

    def write(self, folder: Path) -> None:
        record = {
            "best_of": list(self.grid.keys),
            "seeds": list(self.grid.seeds),
            "arguments": arguments(),
            "arms": [
                {
                    "overrides": list(arm),
                    "chosen": self.values(self.chosen.get(arm)),
                    "trials": [
                        {**self.values(t), "score": None if t.mean != t.mean else t.mean, "scores": dict(t.scores)}
                        for t in trials
                    ],
                }
                for arm, trials in self.trials.items()
            ],
        }
        write_whole(folder / FILE, json.dumps(record, indent=2).encode())

    def values(self, trial: Trial | None) -> dict[str, str] | None:
        return None if trial is None else dict(zip(self.grid.keys, trial.value, strict=True))


def trial(value: tuple[str, ...], results: Mapping[int, tuple[float, float] | None]) -> Trial:
    costs = [result[1] for result in results.values() if result is not None]
    return Trial(value, {seed: None if r is None else r[0] for seed, r in results.items()}, min(costs, default=inf))


def score(trial: Trial) -> str:
    failed = f"{trial.failed} of {len(trial.scores)} failed" if trial.failed else ""
    return ", ".join(filter(None, (f"{trial.mean:.4f}" if trial.numbers else "", failed)))
