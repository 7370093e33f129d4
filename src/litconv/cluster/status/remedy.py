"""The command that trains what nobody is about to train: the launch's own, and else one that spans just these points."""

from collections.abc import Iterable, Mapping, Sequence

from litconv.cluster.status.survey import Survey
from litconv.config.root_keys import LAUNCH_KEYS
from litconv.sweep.folders import place_of
from litconv.sweep.given import Given, last_given, merged, multirun, split
from litconv.sweep.points import of_its_run

MOST_COMMANDS, MOST_CHARACTERS = 3, 4000
# rerun=all would train everything, rerun=none leave what failed; the seeds and values are those of the points.
NOT_AGAIN = {"rerun", "seeds", "best_of", "tuning_seeds"}


def commands(survey: Survey) -> list[str]:
    """Empty where nothing is missing that could be trained, or nothing is known of how it was launched."""
    lacking = [seen.point for seen in survey.missing if seen.status != "refused"]
    if not lacking and (survey.is_under_way or not (survey.lacks_tests or not survey.points)):
        return []
    given = last_given(survey.sweep)
    points = [dict(map(split, of_its_run(point.overrides))) for point in lacking]
    place = place_of(survey.sweep)
    if given is not None and brings(given, points):
        again = {key: value for key, value in given.overrides.items() if key != "rerun"}
        if again.get("seed") == f"range({again.get('seeds')})":
            del again["seed"]  # which `seeds=` stands for
        return [multirun(again | place)]
    launched = {} if given is None else of_launch(given)
    grids = merged(point for point in points if point)
    return [multirun(launched | {key: ",".join(v) for key, v in grid.items()} | place) for grid in grids]


def brings(given: Given, points: Iterable[Mapping[str, str]]) -> bool:
    """Whether the same command has all of these points. A sweeper other than the grid's, and best_of, span them anew."""
    if "best_of" in given.overrides or "hydra/sweeper" in given.overrides:
        return True
    return all(given.covers(point) for point in points)


def of_launch(given: Given) -> dict[str, str]:
    """What of it says how points are launched, not which."""
    kept = {*LAUNCH_KEYS} - NOT_AGAIN
    return {key: value for key, value in given.overrides.items() if key.startswith("hydra") or key in kept}


def shown(commands: Sequence[str]) -> list[str]:
    """Those that a person can use."""
    return [command for command in commands if len(command) <= MOST_CHARACTERS][:MOST_COMMANDS]
