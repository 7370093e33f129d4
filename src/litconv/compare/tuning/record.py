"""What a tuned sweep left beside its runs: tuning.json, and without one Hydra's own record of the launch."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from litconv.compare.inference.planned import sweeps_of
from litconv.errors import ConfigError
from litconv.sweep.given import last_given
from litconv.sweep.tuning import FILE


@dataclass(frozen=True)
class Record:
    keys: tuple[str, ...]
    seeds: frozenset[int]  # which chose; none: not planned
    launches: list[Mapping[str, str]]  # the arguments of each sweep, the tuned launch's where there was one


def record(runs: pd.DataFrame, best_of: Any) -> Record:
    """Of the sweeps of these runs. `best_of`: keys, None, or "auto": as the sweeps were tuned."""
    files = {folder: read(folder) for folder in sweeps_of(runs["folder"])}
    written = [found for found in files.values() if found is not None]
    seeds = frozenset(seed for found in written for seed in found["seeds"])
    tuned = list(dict.fromkeys(tuple(found["best_of"]) for found in written))
    if best_of == "auto" and len(tuned) > 1:
        listed = " and ".join(",".join(keys) for keys in tuned)
        raise ConfigError(f"these sweeps are tuned over different keys ({listed}); compare them one by one")
    keys = tuned[0] if tuned else ()
    if best_of != "auto":
        keys = () if best_of is None else tuple(best_of) if isinstance(best_of, list | tuple) else (str(best_of),)
    launches = [arguments(folder, found) for folder, found in files.items()]
    return Record(keys, seeds, [given for given in launches if given])


def read(sweep: Path) -> dict[str, Any] | None:
    """None where there is none that can be read."""
    try:
        found = json.loads((sweep / FILE).read_text())
        return found if found["best_of"] and all(type(seed) is int for seed in found["seeds"]) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def arguments(sweep: Path, found: Mapping[str, Any] | None) -> dict[str, str]:
    """Key → what was given for it."""
    if found and isinstance(found.get("arguments"), list):
        split = [str(argument).partition("=") for argument in found["arguments"]]
        return {key: value for key, _, value in split if key not in ("-m", "--multirun")}
    launched = last_given(sweep)
    return {} if launched is None else launched.overrides
