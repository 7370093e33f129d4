"""The commands that a tuned comparison names: the sweep's own again, with a wider grid, or with the chosen values alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from litconv.compare.commands import of_an_arm, of_grid
from litconv.compare.tuning.record import Record
from litconv.sweep.choice import Edge, by_size, written
from litconv.sweep.given import merged, multirun


def again(record: Record) -> str:
    """What trains what is still lacking, as the end of a sentence."""
    return "".join(f": {multirun(given)}" for given in record.launches[:1])


def extended(record: Record, grid: Mapping[str, set[float]], edges: Sequence[Edge], tests: Sequence[int]) -> list[str]:
    """The sweeps again, with the next values beyond these edges, for every arm: a grid that is wider for one alone is not
    fair. What was trained already is not repeated. `grid`: key → what was tried of it; `tests`: the seeds that test."""
    new = {key: {e.beyond for e in edges if e.key == key and e.beyond is not None} for key in grid}
    wider = {key: ",".join(sorted({*map(written, grid[key]), *more}, key=by_size)) for key, more in new.items() if more}
    seeds = {"seed": ",".join(map(str, tests))}
    return [multirun({**given, **(seeds if "seed" in given else {}), **wider}) for given in record.launches if wider]


def of_values(rows: pd.DataFrame, seeds: Sequence[int]) -> list[str]:
    """Trains what these runs were, one of each arm, with other seeds."""
    commands = []
    for sweep, own in rows.groupby(rows["folder"].map(lambda folder: Path(folder).parent), sort=False):
        points = map(of_an_arm, own.get("overrides", []))
        commands += [of_grid(grid, seeds, sweep.name, sweep) for grid in merged(points)]
    return commands
