"""The one dictionary a run leaves behind, `summary.json`: flat, plain types, written whole or not at all."""

import json
import math
import platform
import subprocess
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from litconv.files import write_whole
from litconv.run.naming import arm_hash, config_hash, precision

PACKAGES = ("torch", "torchvision", "pytorch-lightning", "hydra-core", "fvcore", "torchmetrics", "wandb")
SHOWN = ("status", "conv", "conv/implementation", "test/split", "cost/second_opinion")  # texts in the table


def facts(config: dict[str, Any], choices: dict[str, str], name: str, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """What is known of a run before it starts."""
    commit, dirty = git_state()
    stages = {k.partition("@")[2]: v for k, v in choices.items() if "@conv_stage" in k}
    short = {k: config[k] for k in ("groups", "dilation", "kernel_size") if k in config}
    return {
        "name": name,
        "sweep": config["sweep"],
        "config_hash": config_hash(config),
        "arm_hash": arm_hash(config),
        "git_commit": commit,
        "git_dirty": dirty,
        "versions": versions(),
        "seed": config["seed"],
        **{k: choices[k] for k in ("task", "data", "conv", "backbone", "head")},
        **stages,
        **({"upsample": choices["upsample"]} if choices["task"] == "segmentation" else {}),
        "width": config["width"],
        **short,
        "precision": precision(config),
        "memory_format": config["memory_format"],
        "matmul_precision": config["matmul_precision"],
        "overrides": list(overrides),
    }


@cache
def versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}}


def training(trainer: Any) -> dict[str, Any]:
    """How long the training took: epochs, seconds of training steps (validation left out), images a second; and what
    became of compiling."""
    from litconv.callbacks import Timing
    from litconv.callbacks.compilation import Compilation

    (timing,) = (callback for callback in trainer.callbacks if isinstance(callback, Timing))
    compiled = [callback.facts() for callback in trainer.callbacks if isinstance(callback, Compilation)]
    return {
        **(compiled[0] if compiled else {}),
        "train/epochs": trainer.current_epoch,
        "train/seconds": timing.train_seconds,
        "train/images_per_second": timing.images_per_second,
    }


def implementations(model: Any, device: Any) -> dict[str, str]:
    """What computes the operators that have several implementations: those with a method `implementation_on`."""
    found = {module.implementation_on(device) for module in model.modules() if hasattr(module, "implementation_on")}
    return {"conv/implementation": ", ".join(sorted(found))} if found else {}


@cache
def git_state() -> tuple[str | None, bool | None]:
    """The commit of the code that runs and whether it was changed since; (None, None) outside a checkout."""
    here = Path(__file__).parent

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", here, *arguments], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return None, None


def write_summary(path: Path, summary: dict[str, Any]) -> None:
    """Atomically; values that JSON has no word for (NaN, infinities) become null."""
    clean = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in summary.items()}
    write_whole(path, json.dumps(clean, indent=2, allow_nan=False, default=str).encode())


def objectives(summary: dict[str, Any]) -> tuple[float, float] | None:
    """Of a completed run, what a search maximises and minimises: the monitored metric on validation, never on test, and
    MACs."""
    if summary.get("status") != "completed":
        return None
    return summary["val/miou" if summary["task"] == "segmentation" else "val/accuracy"], summary["cost/macs"]


def table(summary: dict[str, Any]) -> str:
    """The figures a person wants to see last."""
    rows = []
    for key, value in summary.items():
        if isinstance(value, float):
            rows.append((key, f"{value:.4f}"))
        elif isinstance(value, int) and not isinstance(value, bool):
            rows.append((key, f"{value:,}"))
        elif key in SHOWN or key.startswith("conv_stage"):
            rows.append((key, str(value)))
        elif isinstance(value, list) and value and key != "overrides":
            rows.append((key, ", ".join(map(str, value))))
    width = max(len(key) for key, _ in rows)
    return "\n".join(f"  {key:<{width}}  {value}" for key, value in rows)
