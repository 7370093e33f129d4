"""What stands at the top of the page: how many runs, how long they took, where and with what."""

import pandas as pd

from litconv.claims.trials import Runs, Trials


def facts(trials: Trials, runs: Runs) -> list[tuple[str, str]]:
    there = [table for table in runs.values() if len(table)]
    if not there:
        return [("runs", "none")]
    table = pd.concat(there).drop_duplicates("folder")
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
    return [(one.title, f"{one.shown(one.overrides)} {' '.join(trials.common)}") for one in trials.used]
