"""How many seeds a comparison was planned with."""

from collections.abc import Iterable
from pathlib import Path

from litconv.run.planned import PLAN, read_plan

SEEDS = 5  # taken where no plan stands


def remarks_on_plans(folders: Iterable[str | Path]) -> list[str]:
    """Where sweeps planned unlike numbers, or a plan cannot be read."""
    sweeps = list(dict.fromkeys(Path(folder).parent for folder in folders))
    plans = {sweep: read_plan(sweep) for sweep in sweeps}
    torn = [str(s) for s in sweeps if plans[s] is None and (s / PLAN).exists()]
    said = [f"{', '.join(torn)}: {PLAN} cannot be read, so that no plan is known"] if torn else []
    if len(set(plans.values()) - {None}) > 1:
        listed = ", ".join(f"{sweep.name}: {seeds}" for sweep, seeds in plans.items() if seeds is not None)
        said.append(f"unlike numbers of seeds were planned ({listed}); the smallest is taken")
    return said


def planned_seeds(folders: Iterable[str | Path]) -> int | None:
    """Of these runs' sweeps the smallest plan; None where none has one."""
    plans = [read_plan(sweep) for sweep in dict.fromkeys(Path(folder).parent for folder in folders)]
    return min((seeds for seeds in plans if seeds is not None), default=None)
