"""How many seeds a comparison was planned with."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from litconv.run.planned import PLAN, read_plan

SEEDS = 5  # taken where no plan stands


def plans_of(folders: Iterable[str | Path]) -> dict[Path, int | None]:
    """Sweep of these runs → how many seeds it planned; None where no plan is known."""
    return {sweep: read_plan(sweep) for sweep in sweeps_of(folders)}


def sweeps_of(folders: Iterable[str | Path]) -> list[Path]:
    """The folders in which these lie, each once."""
    return [Path(sweep) for sweep in dict.fromkeys(map(os.path.dirname, folders))]


def smallest(plans: Mapping[Path, int | None]) -> int | None:
    return min((seeds for seeds in plans.values() if seeds is not None), default=None)


def remarks_on(plans: Mapping[Path, int | None]) -> list[str]:
    """Where sweeps planned unlike numbers, or a plan cannot be read."""
    torn = [str(sweep) for sweep, seeds in plans.items() if seeds is None and (sweep / PLAN).exists()]
    said = [f"{', '.join(torn)}: {PLAN} cannot be read, so that no plan is known"] if torn else []
    if len(set(plans.values()) - {None}) > 1:
        listed = ", ".join(f"{sweep.name}: {seeds}" for sweep, seeds in plans.items() if seeds is not None)
        said.append(f"unlike numbers of seeds were planned ({listed}); the smallest is taken")
    return said
