"""Which value of a tuned key is chosen: the one with the best mean on validation over the seeds that do nothing but choose.

A trial is one value of one arm, trained with each of these seeds. A seed that failed is worse than any score, so a value
with fewer of them comes first. Of equals the cheaper is chosen, then the smaller.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum, inf, nan
from typing import Any

from litconv.config.root_keys import MOST_SEEDS

FIRST_SEED = MOST_SEEDS  # of those that choose: far from 0, 1, …, which test, so that more of either can be added


@dataclass(frozen=True)
class Trial:
    value: tuple[Any, ...]  # one for each tuned key
    scores: Mapping[int, float | None]  # seed → the watched metric on validation, more is better; None: it failed
    cost: float = inf  # MACs

    @property
    def numbers(self) -> list[float]:
        return [score for score in self.scores.values() if score is not None]

    @property
    def failed(self) -> int:
        return len(self.scores) - len(self.numbers)

    @property
    def mean(self) -> float:
        return fsum(self.numbers) / len(self.numbers) if self.numbers else nan


def best(trials: Iterable[Trial]) -> Trial | None:
    """None if every one of them failed with every seed."""
    usable = [trial for trial in trials if trial.numbers]
    return min(usable, key=lambda t: (t.failed, -t.mean, t.cost, tuple(map(by_size, t.value)))) if usable else None


def by_size(value: Any) -> tuple[int, float, str]:
    """Numbers by their size, before words by the alphabet."""
    number = as_number(value)
    return (1, 0.0, str(value)) if number is None else (0, number, "")


def as_number(value: Any) -> float | None:
    """Of a number, or of the text of one."""
    try:
        return None if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


@dataclass(frozen=True)
class Edge:
    """The chosen value is the last one of its grid on this side: the best may lie beyond."""

    key: str
    value: str
    side: str  # lowest, highest
    beyond: str | None  # the next value in the grid's own ratio; None where there is no such value


def edges(keys: Sequence[str], trials: Sequence[Trial], chosen: Trial) -> list[Edge]:
    """Of words there is no edge, and none at 0, below which few keys can go."""
    found = []
    for i, key in enumerate(keys):
        numbers = {as_number(trial.value[i]) for trial in trials}
        if None in numbers or len(numbers) < 2:
            continue
        grid, here = sorted(numbers), as_number(chosen.value[i])
        if here in (grid[0], grid[-1]) and here != 0:
            side = "lowest" if here == grid[0] else "highest"
            found.append(Edge(key, written(here), side, beyond(grid, side)))
    return found


def beyond(grid: Sequence[float], side: str) -> str | None:
    last, before = (grid[0], grid[1]) if side == "lowest" else (grid[-1], grid[-2])
    if grid[0] <= 0:
        return written(round(2 * last - before, 12))
    value = float(f"{last * last / before:.3g}")  # 0.4 · 0.4 / 0.2 is 0.8000000000000002
    if all(number == int(number) for number in grid):  # groups, epochs
        value = round(value)
        return None if value in grid or value < 1 else str(value)
    return written(value)


def written(number: float) -> str:
    """Short, and yet this number."""
    short = f"{number:.6g}"
    return short if float(short) == number else repr(number)
