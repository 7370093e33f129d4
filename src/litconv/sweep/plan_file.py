"""The number of seeds that a multirun plans, left beside its runs before any of them begins."""

from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from litconv.run.planned import write_plan


class PlanFile(Callback):
    """Hydra calls it when a multirun begins, whatever launches the jobs."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        seeds = config.seeds or seeds_swept(config)
        if seeds is not None:
            write_plan(Path(config.output_dir, "sweeps", str(config.sweep)), seeds)


def seeds_swept(config: DictConfig) -> int | None:
    """How many values `seed` has in this launch; None where it is not swept."""
    given = [override for override in config.hydra.overrides.task if override.partition("=")[0] == "seed"]
    recipe = config.hydra.sweeper.get("params") or {}
    given = given or [f"seed={recipe['seed']}"] if "seed" in recipe else given
    if not given:
        return None
    (swept,) = OverridesParser.create().parse_overrides(given[-1:])
    return len(list(swept.sweep_iterator())) if swept.is_discrete_sweep() else None  # one seed is no plan
