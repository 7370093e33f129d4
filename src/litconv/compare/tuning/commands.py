"""The commands that a tuned comparison names: the sweep's own again, with a wider grid, or with the chosen values alone."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from litconv.compare.commands import NOT_OF_AN_ARM, merged
from litconv.compare.tuning.record import Record
from litconv.sweep.choice import Edge, by_size, written


def again(record: Record) -> str:
    """What trains what is still lacking, as the end of a sentence."""
    return "".join(f": {command(given)}" for given in record.launches[:1])


def extended(record: Record, grid: Mapping[str, set[float]], edges: Sequence[Edge], tests: Sequence[int]) -> list[str]:
    """The sweeps again, with the next values beyond these edges, for every arm: a grid that is wider for one alone is not
    fair. What was trained already is not repeated. `grid`: key → what was tried of it; `tests`: the seeds that test."""
    new = {key: {e.beyond for e in edges if e.key == key and e.beyond is not None} for key in grid}
    wider = {key: ",".join(sorted({*map(written, grid[key]), *more}, key=by_size)) for key, more in new.items() if more}
    seeds = {"seed": ",".join(map(str, tests))}
    return [command({**given, **(seeds if "seed" in given else {}), **wider}) for given in record.launches if wider]


def of_values(rows: pd.DataFrame, seeds: Sequence[int]) -> list[str]:
    """Trains what these runs were, one of each arm, with other seeds."""
    commands = []
    for sweep, own in rows.groupby(rows["folder"].map(lambda folder: str(Path(folder).parent)), sort=False):
        points = []
        for overrides in own.get("overrides", []):
            given = dict(text.partition("=")[::2] for text in overrides)
            points.append({k: v for k, v in given.items() if k.partition(".")[0] not in NOT_OF_AN_ARM})
        place = {"seed": ",".join(map(str, seeds)), "sweep": Path(sweep).name}
        place |= {"output_dir": str(Path(sweep).parent.parent)} if str(Path(sweep).parent.parent) != "outputs" else {}
        commands += [command({k: ",".join(v) for k, v in grid.items()} | place) for grid in merged(points)]
    return commands


def command(given: Mapping[str, str]) -> str:
    return shlex.join(["python", "train.py", "-m", *(f"{key}={value}" for key, value in given.items())])
