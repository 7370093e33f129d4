"""The command line of scripts/claims.py. What is wrong with it is said in one line."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litconv.claims.grounds import Ground
from litconv.compare.question import FEWEST_SEEDS
from litconv.config import own_yamls
from litconv.config.root_keys import MOST_SEEDS
from litconv.config.sweep_name import check_sweep_name
from litconv.errors import ConfigError


@dataclass(frozen=True)
class Arguments:
    only: object  # names of claims; None: all
    train: bool
    seeds: int
    common: list[str]  # overrides of all runs
    grounds: dict[str, Ground]
    folder: Path  # of the sweep
    out: Path
    launch: list[str]  # of train.py -m


def check(given: Mapping[str, Any]) -> Arguments:
    """`given`: plain types, interpolations resolved."""
    if not isinstance(given["train"], bool):
        raise ConfigError(f"train={given['train']} must be true or false")
    seeds = given["seeds"]
    if type(seeds) is not int or not FEWEST_SEEDS <= seeds <= MOST_SEEDS:
        raise ConfigError(
            f"seeds={seeds} must be a whole number from {FEWEST_SEEDS} (fewer claim nothing) to {MOST_SEEDS}"
        )
    root = Path(str(given["output_dir"]))
    sweep = str(given["sweep"])
    check_sweep_name(sweep)
    out = root / "claims" if given["out"] is None else Path(str(given["out"]))
    if out.exists() and not out.is_dir():
        raise ConfigError(f"out={out} is a file; give a folder")
    grounds = {name: ground(name, written) for name, written in given["grounds"].items()}
    common = shlex.split(given["common"])
    launch = [f"sweep={sweep}", f"seeds={seeds}", f"n_jobs={given['n_jobs']}", f"rerun={given['rerun']}"]
    launch += [f"output_dir={root}", *common, *own_yamls.of_user()]
    return Arguments(given["only"], given["train"], seeds, common, grounds, root / "sweeps" / sweep, out, launch)


def ground(name: str, written: Any) -> Ground:
    if not isinstance(written, Mapping) or not {"title", "overrides"} <= set(written):
        raise ConfigError(f"grounds.{name} must have title and overrides, such as overrides='data=shapes epochs=4'")
    if unknown := set(written) - {"title", "overrides", "root"}:
        raise ConfigError(
            f"grounds.{name}.{min(unknown)} is unknown; a ground has title, overrides and, of a real set, root"
        )
    title, overrides, place = written["title"], written["overrides"], written.get("root")
    if "root" not in written:
        return Ground(name, overrides, title, real=False)
    if place is None:
        return Ground(name, overrides, title, real=True, missing=f"{name}=FOLDER was not given")
    if not Path(str(place)).is_dir():
        raise ConfigError(f"{name}={place}: there is no such folder")
    return Ground(name, shlex.join([*shlex.split(overrides), f"data.root={place}"]), title, real=True)
