"""The commands that made a comparison's runs, and the one that trains the seeds it lacks."""

import shlex
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from litconv.compare.arms import Arm
from litconv.compare.settings import OPTIONS
from litconv.config.front import spelled
from litconv.config.own_yamls import SEARCHPATH, as_flag
from litconv.config.root_keys import LAUNCH_KEYS
from litconv.sweep.given import last_given, merged, split

NOT_OF_AN_ARM = (
    *("seed", "sweep", "output_dir", "logger"),
    *LAUNCH_KEYS,
)


def commands(arms: Sequence[Arm], seeds: Sequence[int]) -> list[str]:
    """What trains these arms with these seeds; in a named sweep a run that is complete already is not repeated."""
    commands = []
    places: dict[Path, list[Arm]] = {}
    for arm in arms:
        for folder in dict.fromkeys(Path(f).parent for f in arm.runs["folder"]):
            places.setdefault(folder, []).append(arm)
    for folder, own in places.items():
        launched = last_given(folder)
        if launched is not None and all(launched.covers(_asked(arm)) for arm in own):
            grids = [{key: [value] for key, value in launched.overrides.items()}]
        else:
            grids = merged(map(_asked, own))
        sweep = next(
            (str(a.runs["sweep"].iloc[0]) for a in own if "sweep" in a.runs and a.runs["sweep"].notna().any()), None
        )
        commands.extend(of_grid(grid, seeds, sweep, folder) for grid in grids)
    return list(dict.fromkeys(commands))


def _asked(arm: Arm) -> dict[str, str]:
    """The overrides of one arm. Those of summaries of before they were kept: its operator and backbone."""
    given = arm.runs["overrides"].iloc[0] if "overrides" in arm.runs else None
    if not isinstance(given, list):
        known = {"task": "classification", "data": "shapes", "backbone": "resnet", "conv": ""}
        return {
            k: str(v) for k, default in known.items() if (v := arm.asked.get(f"choices.{k}")) not in (None, default)
        }
    kept = of_an_arm(given)
    without_effect = {k for k in OPTIONS if k in kept and not any(key.endswith(f".{k}") for key in arm.asked)}
    return {k: v for k, v in kept.items() if k not in without_effect}  # of an equal point in a grid


def of_an_arm(overrides: Sequence[Any]) -> dict[str, str]:
    """Without what says which run of it this was, and where."""
    return {k: v for k, v in map(split, map(str, overrides)) if k.partition(".")[0] not in NOT_OF_AN_ARM}


def of_grid(grid: Mapping[str, list[str]], seeds: Sequence[int], sweep: str | None, folder: Path) -> str:
    given = {k: ",".join(v) for k, v in grid.items() if k not in ("seed", "sweep")}
    given["seed"] = ",".join(map(str, seeds))
    output_dir = folder.parent.parent
    if sweep is not None:
        given["sweep"] = sweep
    if "output_dir" not in given and str(output_dir) != "outputs":
        given["output_dir"] = str(output_dir)
    words = [f"{k}={v}" for k, v in given.items()]
    several = any("," in word or "(" in word for word in words if not word.startswith(SEARCHPATH))
    return shlex.join([*spelled("train"), *(["-m"] if several or sweep else []), *as_flag(words)])


def missing_seeds(arms: Sequence[Arm], wanted: int, taken: Collection[int] = ()) -> list[int]:
    """The seeds that some arm lacks of the first `wanted` that the comparison would have; those `taken` have another use."""
    seeds = sorted({seed for arm in arms for seed in arm.scores})
    new = (s for s in range(len(seeds) + wanted + len(taken) + 1) if s not in (*seeds, *taken))
    while len(seeds) < wanted:
        seeds.append(next(new))
    return sorted(s for s in seeds if any(s not in arm.scores for arm in arms))
