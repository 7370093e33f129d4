"""Cross-validation: the runs of one seed on all folds of a set are one figure, their mean.

Folds share training images, so their scores are no independent draws: an interval over folds would be too narrow. What is
counted, paired and tested stays the seed. A seed that lacks folds is left out.
"""

from collections.abc import Mapping

import pandas as pd

from litconv.compare.settings import Settings, hash_of

FOLD, FOLDS = "data.fold", "data.folds"


def with_folds(runs: pd.DataFrame, asked: Mapping[str, Settings]) -> tuple[pd.DataFrame, dict[str, Settings]]:
    """The runs with a column of the fold, NaN where there is none; arms that differ in it alone are one."""
    runs, arms, same = runs.copy(), {}, {}
    for arm, settings in asked.items():
        whole = {key: value for key, value in settings.items() if key != FOLD}
        same[arm] = arm if settings.get(FOLD) is None else hash_of(whole)
        arms[same[arm]] = whole
    runs[FOLD] = [asked[arm].get(FOLD) for arm in runs["arm_hash"]]
    runs["arm_hash"] = [same[arm] for arm in runs["arm_hash"]]
    return runs, arms


def pooled(runs: pd.DataFrame, asked: Mapping[str, Settings]) -> tuple[pd.DataFrame, list[str]]:
    """A row for each seed of an arm, and what a reader must know of it. `runs`: one for each arm, seed and fold."""
    if runs[FOLD].isna().all():
        return runs, []
    rows, notes = [], []
    for (arm, seed), own in runs.groupby(["arm_hash", "seed"], sort=False):
        folds = asked[arm].get(FOLDS)
        missing = sorted(set(range(int(folds or 0))) - {*own[FOLD]}) if own[FOLD].notna().all() else []
        if missing:
            listed = ", ".join(map(str, missing))
            notes.append(f"{own['name'].iloc[0]} and its like, seed {seed}: no fold {listed} of {folds}; left out")
            continue
        rows.append(mean_of(own.sort_values(FOLD)))
    notes.insert(
        0, "a figure of a seed is the mean over its folds; pictures and figures of single classes are of fold 0"
    )
    return pd.DataFrame(rows, columns=runs.columns), notes


def mean_of(folds: pd.DataFrame) -> pd.Series:
    """Numbers as their mean; all else, and whole numbers that are equal, as the first fold has it."""
    row = folds.iloc[0].copy()
    for key in folds.columns:
        values = pd.to_numeric(folds[key], errors="coerce") if key != "overrides" else folds[key]
        if key not in ("seed", FOLD, "overrides") and values.notna().all() and values.nunique() > 1:
            row[key] = float(values.mean())
    if isinstance(row.get("overrides"), list):
        every = f"{FOLD}={','.join(str(int(fold)) for fold in folds[FOLD])}"
        row["overrides"] = [every if str(o).lstrip("+").startswith(f"{FOLD}=") else o for o in row["overrides"]]
    return row
