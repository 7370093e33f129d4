"""What a reader must know who compares these runs, beside the verdict."""

from collections.abc import Sequence

import pandas as pd

from litconv.compare.arms import Arm, first


def remarks(runs: pd.DataFrame, arms: Sequence[Arm], against: dict[str, Arm], repeated: int) -> list[str]:
    """What a reader must know who compares these runs."""
    notes = []
    if repeated:
        notes.append(f"{repeated} runs repeat another's configuration and seed; of each the one written last is used")
    seeds = {seed for arm in arms for seed in arm.scores}
    for arm in arms:
        if lacking := sorted(seeds - set(arm.scores)):
            listed = ", ".join(map(str, lacking))
            notes.append(f"{arm.name} has no run of seed {listed}; differences are over the seeds in common")
        if "match/note" in arm.runs and isinstance(noted := arm.runs["match/note"].iloc[0], str):
            notes.append(f"{arm.name}: {noted}")
    notes += starts(arms)
    left_over = [a.name for a in arms if a.name not in against and a not in against.values()]
    if left_over and len(arms) > 1:
        notes.append(
            f"nothing to hold {', '.join(left_over)} against: no reference is like it in all but what is compared"
        )
    for key, what in {
        "git_commit": "commits of the code",
        "versions/torch": "versions of torch",
        "cost/latency_batch": "batch sizes of the latency",
        "memory_format": "memory formats, which alter speed, and figures by rounding",
        "compile/mode": "modes of torch.compile, which alter train/seconds, and figures by rounding",
        "cost/device": "devices, whose latencies do not compare; their ratios to standard do",
    }.items():
        written = runs[key].fillna("off") if key == "compile/mode" and key in runs else runs.get(key, pd.Series())
        values = written.dropna().astype(str).value_counts()
        if len(values) > 1:
            shown = 12 if key == "git_commit" else 60
            listed = ", ".join(f"{v[:shown]} ({n} runs)" for v, n in values.items())
            notes.append(f"the runs are of {len(values)} {what}: {listed}")
    if "git_dirty" in runs and (dirty := int((runs["git_dirty"] == True).sum())):  # noqa: E712 (an object column)
        notes.append(f"{dirty} of {len(runs)} runs were made with uncommitted changes of the code")
    return notes


def starts(arms: Sequence[Arm]) -> list[str]:
    """What `init_from=` could not make equal, and a start that changed under its name."""
    notes, shares = [], {arm.name: first(arm.runs, "init_from/share") for arm in arms}
    loaded = {name: f"{100 * share:.3g} %" for name, share in shares.items() if share is not None}
    if len({*loaded.values()}) > 1:
        listed = ", ".join(f"{name} {share}" for name, share in loaded.items())
        notes.append(f"init_from fits the arms unequally, so that they do not start alike; of its params has: {listed}")
    digests: dict[tuple[str, str], set[str]] = {}
    for key in ("init_from", "distill"):
        for arm in arms:
            for found in arm.runs.get(f"{key}/digest", pd.Series(dtype=object)).dropna():
                digests.setdefault((key, str(arm.asked.get(key))), set()).add(found)
    notes += [
        f"{key}={value} is not one file in all runs: it was written anew between them"
        for (key, value), found in digests.items()
        if len(found) > 1
    ]
    return notes
