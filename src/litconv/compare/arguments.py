"""The command line of scripts/compare.py: what is compared and where it goes, or one line that says what is wrong."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from litconv.cli import did_you_mean
from litconv.errors import ConfigError


def check(arguments: Mapping[str, Any]) -> tuple[str, list[str], Path]:
    """(name, folders, out)"""
    sweep, folders, root = arguments["sweep"], arguments["folders"], Path(str(arguments["output_dir"]))
    if (sweep is None) == (folders is None):
        raise ConfigError(
            "give sweep=NAME, or folders=[…] with folders of runs or sweeps" + (", not both" if sweep else "")
        )
    if type(arguments["samples"]) is not int or arguments["samples"] < 0:
        raise ConfigError(f"samples={arguments['samples']} must be a whole number, at least 0")
    if not isinstance(arguments["mix"], bool):
        raise ConfigError(f"mix={arguments['mix']} must be true or false")
    if arguments["wandb"] not in ("auto", True, False):
        raise ConfigError(f"wandb={arguments['wandb']} must be auto, true or false")
    if sweep is not None:
        name, places = str(sweep), [str(sweep_folder(root, str(sweep)))]
    else:
        places = [str(f) for f in (folders if isinstance(folders, list) else [folders])]
        if not places:
            raise ConfigError("folders=[] names no folder; give some, such as folders=[outputs/runs]")
        name = "+".join(Path(place).name for place in places)
    out = arguments["out"]
    return name, places, Path(str(out)) if out is not None else root / "compare" / slug(name)


def sweep_folder(root: Path, sweep: str) -> Path:
    folder = root / "sweeps" / sweep
    if not folder.is_dir():
        there = sorted(p.name for p in (root / "sweeps").glob("*") if p.is_dir() and not p.name.startswith("."))
        listed = ", ".join(there[:20]) or "none"
        raise ConfigError(
            f"sweep={sweep}: no such sweep in {root / 'sweeps'}{did_you_mean(sweep, there)}; there: {listed}"
        )
    return folder


def slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", name).strip(".-")[:80] or "comparison"
