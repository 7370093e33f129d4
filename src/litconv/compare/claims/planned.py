"""How many seeds a comparison was planned with."""

from collections.abc import Iterable
from pathlib import Path

from litconv.run.planned import read_plan

SEEDS = 5  # taken where no plan stands


def planned_seeds(folders: Iterable[str | Path]) -> int | None:
    """Of these runs' sweeps the smallest plan; None where none has one."""
    plans = [read_plan(sweep) for sweep in dict.fromkeys(Path(folder).parent for folder in folders)]
    return min((seeds for seeds in plans if seeds is not None), default=None)
