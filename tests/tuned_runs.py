"""Folders of a tuned sweep, made in a moment: every arm at every rate with the seeds that choose, at its best with others."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from litconv.sweep.tuning import FILE
from made_runs import make_run

CHOOSING = (1000, 1001, 1002)
RATES = (0.05, 0.1, 0.2, 0.4)
BEST = {"standard": 0.2, "grouped": 0.4, "depthwise_separable": 0.1}
Score = Callable[[str, float, int], float]  # of an operator, a rate and a seed


def peaked(conv: str, rate: float, seed: int) -> float:
    """Highest at the operator's best rate; a seed adds its own."""
    return 0.9 - 0.02 * abs(RATES.index(rate) - RATES.index(BEST[conv])) + 0.001 * (seed % 7)


def make_trial(root: Path, conv: str, rate: float, seed: int, score: float, **more) -> Path:
    """Its test score differs from what chooses."""
    found = {"monitor": "val/accuracy", "val/accuracy": score, "test/accuracy": score - 0.05}
    return make_run(
        root, conv, seed, score, config={"optim.lr": rate} | more.pop("config", {}),
        summary=found | more.pop("summary", {}), **more,
    )  # fmt: skip


def make_tuned(
    root: Path,
    rates: Mapping[str, Sequence[float]] | None = None,
    tests: Sequence[int] = (0, 1, 2),
    score: Score = peaked,
    recorded: bool = True,
) -> Path:
    """The sweep's folder. `recorded`: with the tuning.json that a tuned sweep leaves."""
    rates = rates or dict.fromkeys(BEST, RATES)
    for conv, own in rates.items():
        for rate in own:
            for seed in CHOOSING:
                make_trial(root, conv, rate, seed, score(conv, rate, seed))
        for seed in tests:
            make_trial(root, conv, BEST[conv], seed, score(conv, BEST[conv], seed))
    sweep = root / "sweeps" / "made"
    if recorded:
        given = ["-m", "experiment=operators_tuned", "sweep=made", f"output_dir={root}"]
        record = {"best_of": ["optim.lr"], "seeds": list(CHOOSING), "arguments": given, "arms": []}
        (sweep / FILE).write_text(json.dumps(record))
    return sweep
