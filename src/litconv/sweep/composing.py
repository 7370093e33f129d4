"""The points of a launch as configurations, each composed by Hydra as the run that it will be."""

from collections.abc import Sequence

from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict

from litconv.sweep.running import Point


def points_of(
    config: DictConfig, context: HydraContext, job_overrides: Sequence[Sequence[str]], first: int
) -> list[Point]:
    """`config`: of the launch. `first`: the number of the first of them."""
    common = set.intersection(*map(set, job_overrides)) if len(job_overrides) > 1 else set()
    points = []
    for number, overrides in enumerate(job_overrides, first):
        composed = context.config_loader.load_sweep_config(config, list(overrides))
        with open_dict(composed):
            composed.hydra.job.id = composed.hydra.job.num = number
        points.append(Point(number, " ".join(o for o in overrides if o not in common), composed))
    return points
