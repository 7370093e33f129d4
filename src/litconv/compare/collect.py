"""Runs' folders as a table: one row a run with the flat keys of its summary.json and deployed.json.

A reader that forgives: a summary that is missing, half-written, of another program, of an older version or edited by
hand is a row too, and its `status` and `error` say what is wrong with it.
"""

import glob
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from litconv.compare.deployed.reading import deployed_figures
from litconv.errors import ConfigError

NOT_RUNS = {"aside", "compare", "checkpoints", "wandb", "multirun.yaml"}  # aside: runs that were trained anew
FIRST = ["folder", "status", "error", "name", "seed"]


def load(path: str | Path | Sequence[str | Path]) -> pd.DataFrame:
    """The runs in or below these folders (patterns such as `outputs/sweeps/a*` too), one row each, whatever their state.

    >>> runs = litconv.compare.load("outputs/sweeps/operators")
    >>> runs[runs.status == "completed"].groupby("conv")["test/accuracy"].agg(["mean", "std", "count"])
    """
    rows = [read_run(folder) for folder in run_folders(path)]
    columns: dict[str, None] = dict.fromkeys(FIRST)
    for row in rows:
        if not row.keys() <= columns.keys():
            columns |= dict.fromkeys(row)
    return pd.DataFrame(rows, columns=list(columns))


def run_folders(path: str | Path | Sequence[str | Path]) -> list[Path]:
    folders: dict[Path, None] = {}
    for one in [path] if isinstance(path, str | Path) else path:
        text = os.fspath(one)
        places = [text] if Path(text).exists() else sorted(glob.glob(text))  # noqa: PTH207 (an absolute pattern too)
        if not places:
            raise ConfigError(f"{text}: there is no such folder")
        for place in places:
            folders.update(dict.fromkeys(_below(Path(place))))
    return list(folders)


def _below(folder: Path) -> Iterator[Path]:
    """A folder with one of a run's files is a run, and nothing below it is looked at."""
    try:
        entries = {entry.name: entry.is_dir() for entry in os.scandir(folder)}
    except NotADirectoryError:
        raise ConfigError(f"{folder} is a file; give the folder of a run or of a sweep") from None
    if "summary.json" in entries or "config.yaml" in entries:
        yield folder
        return
    for name, is_folder in sorted(entries.items()):
        if is_folder and name not in NOT_RUNS and not name.startswith("."):
            yield from _below(folder / name)


def read_run(folder: Path) -> dict[str, Any]:
    row: dict[str, Any] = {"folder": str(folder), "status": "unfinished", "error": None, "name": folder.name}
    path = folder / "summary.json"
    try:
        written = json.loads(path.read_bytes())
    except FileNotFoundError:
        return row | {"error": "no summary.json: still running, or killed"}
    except (OSError, ValueError, RecursionError) as error:
        return row | {"status": "unreadable", "error": f"summary.json: {' '.join(str(error).split())[:120]}"}
    if not isinstance(written, dict) or not isinstance(written.get("status"), str):
        return row | {"status": "foreign", "error": "summary.json is not that of a litconv run: it has no status"}
    if type(written.get("seed")) is not int:
        return row | {"status": "foreign", "error": f"summary.json: seed={written.get('seed')!r} is no integer"}
    return row | flat(written) | flat(deployed_figures(folder)) | {"modified": path.stat().st_mtime}


def flat(written: dict[str, Any]) -> dict[str, Any]:
    """{"versions": {"torch": "2"}} as {"versions/torch": "2"}"""
    row = {}
    for key, value in written.items():
        if isinstance(value, dict):
            row |= {f"{key}/{inner}": v for inner, v in value.items()}
        else:
            row[key] = value
    return row


def number(value: Any) -> float | None:
    """A finite number, written as one or as its text; None for all else."""
    try:
        parsed = float(value) if not isinstance(value, bool) else None
    except (TypeError, ValueError, OverflowError):
        return None
    return parsed if parsed is not None and abs(parsed) < float("inf") else None
