"""The keys at the root of a configuration, one row each; what stands inside a group is said by the group's class."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any, Literal, NamedTuple

from litconv.cost.deployed_keys import FEWEST_CALIBRATION_IMAGES


class Bound(NamedTuple):
    """What a value of the right type must be besides."""

    words: str
    holds: Callable[[Any], bool]


def at_least(least: float) -> Bound:
    return Bound(f"at least {least}", lambda value: value >= least)


def above(least: float, most: float = inf) -> Bound:
    words = f"greater than {least}" if most == inf else f"more than {least} and at most {most}"
    return Bound(words, lambda value: least < value <= most)


class Group:
    """The type of a key that stands for a class: its `_target_`, and the class's options."""


class Named:
    """The type of a key that holds several such nodes, by name."""


class SaidByClass:
    """The type of a short name: the operator's class says it."""


@dataclass(frozen=True)
class RootKey:
    type: Any
    bound: Bound | None = None
    required: bool = True
    hashed: bool = True  # whether it can change the result, rounding apart
    short_name: bool = False  # an operator's yaml takes it up; its own options carry it then
    of_launch: bool = False  # of the launch of a sweep, not of its runs
    names_sweep: bool = False  # although it is: it decides which points are trained


SEED = Bound("at least 0 and less than 2**32", lambda seed: 0 <= seed < 2**32)
JOBS = Bound("at least 1, or -1: as many as there are slots for", lambda jobs: jobs == -1 or jobs >= 1)
SWEEP = Bound(
    "letters, digits, '.', '_' and '-' (at most 80): it names a folder",
    lambda name: re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", str(name)) is not None,
)
THREADS = Bound(
    "auto, or a whole number of at least 1 and at most 512",  # OpenMP ends a process that asks for more than there can be
    lambda threads: threads == "auto" or 1 <= threads <= 512,
)
SHARE = Bound("greater than 0 and less than 1", lambda value: 0 < value < 1)
SHORT_NAME = RootKey(SaidByClass, at_least(1), required=False, hashed=False, short_name=True)
MOST_SEEDS = 1000  # from there on they choose, in a tuned sweep
STAGES = range(1, 6)  # that may have an operator of their own

ROOT_KEYS = {
    **dict.fromkeys(("conv", "backbone", "head", "task", "data", "optim", "schedule", "trainer"), RootKey(Group)),
    **dict.fromkeys(("match", *(f"conv_stage{number}" for number in STAGES)), RootKey(Group, required=False)),
    "upsample": RootKey(Group, required=False),
    "callbacks": RootKey(Group),
    "logger": RootKey(Named, hashed=False),
    "seed": RootKey(int, SEED),
    "epochs": RootKey(int, at_least(1), hashed=False),  # trainer.max_epochs carries it
    "width": RootKey(float, Bound("greater than 0 and finite", lambda width: 0 < width < inf)),
    "ema": RootKey(float, SHARE, required=False),
    "init_from": RootKey(str, required=False),
    "distill": RootKey(str, required=False),
    "distillation.weight": RootKey(float, above(0, 1)),
    "distillation.temperature": RootKey(float, above(0, 100)),
    "distillation.features": RootKey(float, at_least(0)),
    "groups": SHORT_NAME,
    "dilation": SHORT_NAME,
    "kernel_size": SHORT_NAME,
    "cost.allow_uncounted": RootKey(bool, hashed=False),
    "cost.effective_field": RootKey(bool, hashed=False),
    "cost.latency.enabled": RootKey(bool, hashed=False),
    "cost.latency.batch": RootKey(int, above(0, 2**16), hashed=False),
    "cost.latency.seconds": RootKey(float, above(0, 3600), hashed=False),
    "cost.latency.device": RootKey(str, hashed=False),
    "deploy.runtimes": RootKey(list, hashed=False),
    "deploy.precision": RootKey(list, hashed=False),
    "deploy.threads": RootKey(int, above(0, 512), hashed=False),
    "deploy.batch": RootKey(int, above(0, 2**16), hashed=False),
    "deploy.seconds": RootKey(float, above(0, 3600), hashed=False),
    "deploy.calibration.images": RootKey(int, at_least(FEWEST_CALIBRATION_IMAGES), hashed=False),
    "deploy.calibration.method": RootKey(Literal["minmax", "entropy", "percentile"], hashed=False),
    "diagnostics": RootKey(bool, hashed=False),
    "memory_format": RootKey(Literal["channels_last", "contiguous", "auto"]),
    "matmul_precision": RootKey(Literal["default", "highest", "high", "medium"]),
    "threads": RootKey(int | Literal["auto"], THREADS, hashed=False),
    "compile.enabled": RootKey(bool),
    "compile.mode": RootKey(Literal["default", "reduce-overhead", "max-autotune"]),
    "output_dir": RootKey(str, Bound("the name of a folder", lambda name: bool(name.strip())), hashed=False),
    "details": RootKey(bool, hashed=False),
    "allowed_packages": RootKey(list, required=False, hashed=False),
    "sweep": RootKey(Any, SWEEP, required=False, hashed=False),
    "seeds": RootKey(int, above(0, MOST_SEEDS), required=False, hashed=False, of_launch=True),
    "n_jobs": RootKey(int, JOBS, of_launch=True),
    "slots_per_gpu": RootKey(int, above(0), of_launch=True),
    "time_limit_minutes": RootKey(float, above(0), of_launch=True),
    "wait": RootKey(bool, of_launch=True),
    "rerun": RootKey(Literal["failed", "all", "none"], of_launch=True),
    "best_of": RootKey(Any, required=False, of_launch=True, names_sweep=True),
    "tuning_seeds": RootKey(int, above(0), of_launch=True),
}
SHORT_NAMES = tuple(key for key, row in ROOT_KEYS.items() if row.short_name)
LAUNCH_KEYS = tuple(key for key, row in ROOT_KEYS.items() if row.of_launch)
NAMELESS_KEYS = tuple(key for key in LAUNCH_KEYS if not ROOT_KEYS[key].names_sweep)
OF_SWEEPER = ("best_of", "tuning_seeds")  # read by what spans the grid, not by what launches its jobs
GROUPS = tuple(key for key, row in ROOT_KEYS.items() if row.type is Group)
NOT_HASHED = tuple(dict.fromkeys(key.partition(".")[0] for key, row in ROOT_KEYS.items() if not row.hashed))
