"""The points of a launch as configurations, each composed by Hydra as the run that it will be, and what becomes of them."""

from collections.abc import Collection, Sequence
from typing import Protocol

from hydra.types import HydraContext
from omegaconf import DictConfig, open_dict

from litconv.sweep.board import COMPLETED_BEFORE, EQUAL, Board
from litconv.sweep.memory import Memory
from litconv.sweep.outcome import Outcome
from litconv.sweep.points import planned
from litconv.sweep.running import Point


class Session(Protocol):
    """What trains points, on this machine or elsewhere."""

    board: Board
    outcomes: dict[str, Outcome]

    @property
    def rerun(self) -> str:
        """Which earlier points are trained again."""

    def launch(self, points: Sequence[Point], memory: Memory) -> list[Outcome]:
        """An outcome for each of them."""


def outcomes_of(
    session: Session,
    config: DictConfig,
    context: HydraContext,
    memory: Memory,
    job_overrides: Sequence[Sequence[str]],
    first: int,
) -> list[Outcome]:
    """An outcome for each point. Those that are known to be completed are neither composed nor looked at any further.
    `config`: of the launch. `first`: the number of the first point."""
    known = {} if session.rerun == "all" else memory.completed(job_overrides, first)
    if known and planned(*points_of(config, context, job_overrides, first, [min(known)])).error:
        known = {}  # what is wrong with the launch, such as n_jobs=0, is wrong with each of them
    completed, equal = {}, []
    for outcome in known.values():
        if outcome.name in completed or outcome.name in session.outcomes:
            equal.append(outcome.name)
        else:
            completed[outcome.name] = outcome
    session.outcomes |= completed
    session.board.say_left_out({COMPLETED_BEFORE: list(completed), EQUAL: equal})
    rest = [place for place in range(len(job_overrides)) if place not in known]
    trained = session.launch(points_of(config, context, job_overrides, first, rest), memory) if rest else []
    found = dict(zip(rest, trained, strict=True)) | {place: session.outcomes[o.name] for place, o in known.items()}
    return [found[place] for place in range(len(job_overrides))]


def points_of(
    config: DictConfig,
    context: HydraContext,
    job_overrides: Sequence[Sequence[str]],
    first: int,
    wanted: Collection[int] | None = None,
) -> list[Point]:
    """`wanted`: the places of those that are to be composed, None for all."""
    common = set.intersection(*map(set, job_overrides)) if len(job_overrides) > 1 else set()
    points = []
    for place in range(len(job_overrides)) if wanted is None else wanted:
        overrides, number = job_overrides[place], first + place
        composed = context.config_loader.load_sweep_config(config, list(overrides))
        with open_dict(composed):
            composed.hydra.job.id = composed.hydra.job.num = number
        points.append(Point(number, " ".join(o for o in overrides if o not in common), composed))
    return points
