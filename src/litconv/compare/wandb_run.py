"""The comparison on wandb: a run of its own in the sweep's group, with summary scalars, the table of arms and the Pareto
figures. Where the runs were not logged to wandb it is not either, unless it is told to."""

from functools import partial
from pathlib import Path
from typing import Any

from litconv.compare.result import Result
from litconv.compare.settings import read_config
from litconv.compare.tables import numbers
from litconv.compare.verdict import verdict
from litconv.files import finite


def log_comparison(result: Result, out: Path, wanted: bool | str) -> None:
    """`wanted`: True, False or "auto"; figures are taken from `out`."""
    folders = [Path(folder) for folder in result.runs["folder"]]
    if wanted is False or (wanted == "auto" and not any((folder / "wandb").is_dir() for folder in folders)):
        return
    import numpy as np
    from PIL import Image

    from litconv.loggers.together import Loggers
    from litconv.loggers.wandb import Wandb, options_of

    options = options_of((read_config(folders[0]) or {}).get("logger"))
    sweeps = [str(s) for s in result.runs["sweep"].dropna().unique()] if "sweep" in result.runs else []
    logger = Loggers({"wandb": partial(Wandb, **options, resume=False)})
    logger.start(
        out,
        name=f"compare {result.name}",
        group=sweeps[0] if len(sweeps) == 1 else result.name,
        job_type="compare",
        tags=["comparison", result.metric.key],
        config={"metric": result.metric.key, "sweeps": sweeps, "seeds": result.seeds},
    )
    rows = [numbers(result, arm) for arm in result.arms]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    logger.table("comparison/arms", columns, [[finite(row.get(c)) for c in columns] for row in rows])
    for path in sorted(out.glob("*.png")):
        logger.image(f"comparison/{path.stem}", np.asarray(Image.open(path).convert("RGB")), path.name)
    logger.finish(0, scalars(result))


def scalars(result: Result) -> dict[str, Any]:
    """Flat: what the comparison came to, and each arm's figures under its name."""
    said = verdict(result)
    summary: dict[str, Any] = {"verdict": said.headline, "metric": result.metric.key, "best": result.arms[0].name}
    summary |= {"comparisons": len(result.comparisons), "seeds_needed": result.seeds_needed}
    for arm in result.arms:
        row = numbers(result, arm)
        kept = ("mean", "std", "gap", "gap_low", "gap_high", "p_holm", "verdict", *result.cost_keys)
        summary |= {f"{arm.name}/{key}": row[key] for key in kept if finite(row.get(key)) is not None}
    return summary
