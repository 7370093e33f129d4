"""The front of a search, beside its runs: those that none other beats in one objective and equals in the other."""

from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from litconv.run.state import read_summary
from litconv.run.summary import objectives, write_summary

SHOWN = ("name", "conv", "backbone", "head", "width", "groups", "dilation", "kernel_size", "seed", "cost/params")


class ParetoFile(Callback):
    """Hydra calls it when a multirun ends, whatever launched the jobs."""

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        if config.hydra.runtime.choices["hydra/sweeper"] != "optuna_pareto":
            return
        sweep = Path(config.output_dir, "sweeps", str(config.sweep))
        runs = front([read_summary(path.parent) for path in sorted(sweep.glob("*/summary.json"))])
        write_summary(sweep / "pareto.json", {"maximised": "val metric", "minimised": "cost/macs", "runs": runs})
        print(f"{len(runs)} runs on the Pareto front: {sweep / 'pareto.json'}")


def front(summaries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """By rising MACs; of equal runs the first."""
    runs = []
    best = float("-inf")
    scored = [(summary, *objectives(summary)) for summary in summaries if objectives(summary)]
    for summary, score, macs in sorted(scored, key=lambda run: (run[2], -run[1])):
        if score > best:
            best = score
            metrics = {key: value for key, value in summary.items() if key.startswith(("val/", "test/"))}
            runs.append({key: summary[key] for key in SHOWN if key in summary} | {"cost/macs": macs} | metrics)
    return runs
