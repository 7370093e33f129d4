"""What stands at the top of the page: how many runs, how long they took, where and with what."""

from pathlib import Path

import pandas as pd

from litconv.claims.trials import Trials


def facts(trials: Trials, sweep: Path) -> list[tuple[str, str]]:
    runs = {arm: table for arm, table in trials.runs(sweep).items() if len(table)}
    if not runs:
        return [("runs", "none")]
    table = pd.concat(runs.values()).drop_duplicates("folder")
    seconds = float(table["train/seconds"].sum())
    said = [
        ("runs", f"{len(table)} of {len(trials.points)} arms"),
        ("seeds", str(table.groupby("arm_hash")["seed"].nunique().max())),
        ("training", f"{seconds / 3600:.2f} core hours, one core a run"),
    ]
    for key in ("versions/torch", "cost/device"):
        if key in table and (values := table[key].dropna().unique()).size:
            said.append((key.rpartition("/")[2], ", ".join(map(str, sorted(values)))))
    return said


def in_common(trials: Trials) -> list[tuple[str, str]]:
    """Ground → the overrides of all runs on it."""
    used = [ground for ground in trials.grounds.values() if ground.name in trials.used]
    return [(ground.title, f"{ground.shown(ground.overrides)} {' '.join(trials.common)}") for ground in used]
