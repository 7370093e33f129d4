"""The command line of scripts/sweep.py."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litconv.config.sweep_name import check_sweep_name
from litconv.errors import ConfigError
from litconv.files import local
from litconv.sweep.folders import sweep_folder


@dataclass(frozen=True)
class Arguments:
    root: Path  # output_dir
    sweep: Path | None  # its folder; None for all
    watch: bool
    cancel: bool
    json: bool


def check(given: Mapping[str, Any]) -> Arguments:
    for key in ("watch", "cancel", "json"):
        if not isinstance(given[key], bool):
            raise ConfigError(f"{key}={given[key]} must be true or false")
    root = local(str(given["output_dir"]), "output_dir")
    sweep = None
    if given["sweep"] is not None:
        check_sweep_name(str(given["sweep"]))
        sweep = sweep_folder(root, str(given["sweep"]))
    for key in ("watch", "cancel"):
        if given[key] and sweep is None:
            raise ConfigError(f"{key}=true needs sweep=NAME; without it the sweeps of {root / 'sweeps'} are listed")
    if given["json"] and (given["watch"] or given["cancel"]):
        raise ConfigError("json=true shows a sweep once; leave watch=true and cancel=true out")
    return Arguments(root, sweep, given["watch"], given["cancel"], given["json"])
