"""The one dictionary a run leaves behind, `summary.json`: flat, plain types, written whole or not at all."""

import json
import math
import platform
import subprocess
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from litconv import __version__
from litconv.config.composed import SHORT_NAMES
from litconv.config.places import IN_WHEEL
from litconv.config.watched import watched
from litconv.cost.deployed_keys import Place, place_of
from litconv.files import write_whole
from litconv.run.asked import Asked
from litconv.run.naming import precision

PACKAGES = ("torch", "torchvision", "pytorch-lightning", "hydra-core", "fvcore", "torchmetrics", "wandb")
SHOWN = ("status", "conv", "conv/implementation", "test/split", "cost/second_opinion")  # texts among the figures
NAMES = {
    "miou": "mIoU",
    "macro_f1": "macro F1",
    "balanced_accuracy": "balanced accuracy",
    "ece": "ECE",
}  # of metrics whose keys are not written as the field does


def facts(asked: Asked) -> dict[str, Any]:
    """What is known of a run before it starts."""
    commit, dirty = git_state()
    settings, choices = asked.settings, asked.choices
    monitor, mode = watched(asked.config.task)
    stages = {k.partition("@")[2]: v for k, v in choices.items() if "@conv_stage" in k}
    return {
        "name": asked.name,
        "sweep": settings["sweep"],
        "config_hash": asked.config_hash,
        "arm_hash": asked.arm_hash,
        "arm": asked.arm(),
        "git_commit": commit,
        "git_dirty": dirty,
        "versions": versions(),
        "seed": settings["seed"],
        **{k: choices[k] for k in ("task", "data", "conv", "backbone", "head")},
        **stages,
        **({"upsample": choices["upsample"]} if "upsample" in settings else {}),
        "width": settings["width"],
        **({"ema": settings["ema"]} if settings["ema"] is not None else {}),
        **{k: settings[k] for k in SHORT_NAMES if k in settings},
        "precision": precision(settings),
        "memory_format": settings["memory_format"],
        "matmul_precision": settings["matmul_precision"],
        "monitor": monitor,
        **({"monitor_mode": mode} if mode == "min" else {}),
        "overrides": list(asked.overrides),
    }


@cache
def versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "litconv": __version__}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):  # other loggers do without wandb
            found[package] = version(package)
    return found


@cache
def git_state() -> tuple[str | None, bool | None]:
    """The commit of the code that runs and whether it was changed since; (None, None) outside a checkout. Beside a wheel
    that is the user's own code: the folder in which the command is given."""
    here = Path.cwd() if IN_WHEEL else Path(__file__).parent

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
    MACs. What is better when it is less is negated."""
    if summary.get("status") != "completed":
        return None
    before_monitors = "val/miou" if "val/miou" in summary else "val/accuracy"  # of a summary that lacks the key
    score = summary[summary.get("monitor", before_monitors)]
    return -score if summary.get("monitor_mode") == "min" else score, summary["cost/macs"]


def table(summary: dict[str, Any]) -> str:
    """What a person wants to know first; the rest stands in summary.json, and `details` shows it."""
    monitor = summary.get("monitor", "")
    name = monitor.rpartition("/")[2]
    rows = {}
    if (score := summary.get(f"test/{name}")) is not None:
        split = summary.get("test/split", "test")
        where = "on test" if split == "test" else f"on {split}: the set has no test split"
        rows[NAMES.get(name, name)] = f"{score:.4f} {where}"
    for key, label in (("cost/params", "params"), ("cost/macs", "MACs")):
        if key in summary:
            rows[label] = f"{summary[key]:,}"
    if (ratio := summary.get("cost/latency_ratio")) is not None:
        rows["latency ÷ standard"] = f"{ratio:.2f}"
    for place in dict.fromkeys(filter(None, map(place_of, summary))):
        rows[place.label] = where_deployed(summary, place, name)
    if (seconds := summary.get("train/seconds")) is not None:
        rows["training time"] = duration(seconds)
    return "\n".join([aligned(rows), "  all figures: summary.json, or details=true"])


def where_deployed(summary: dict[str, Any], place: Place, metric: str) -> str:
    """Its metric there, and what it costs beside the standard convolution."""
    score, ratio = summary.get(place.key(metric)), summary.get(place.key("latency_ratio"))
    parts = [f"{score:.4f}"] if score is not None else []
    return ", ".join([*parts, f"latency ÷ standard {ratio:.2f}"] if ratio is not None else parts)


def details(summary: dict[str, Any]) -> str:
    """All figures, by their keys in summary.json."""
    rows = {}
    for key, value in summary.items():
        if isinstance(value, float):
            rows[key] = f"{value:.4f}"
        elif isinstance(value, int) and not isinstance(value, bool):
            rows[key] = f"{value:,}"
        elif key in SHOWN or key.startswith("conv_stage"):
            rows[key] = str(value)
        elif isinstance(value, list) and value and key not in ("overrides", "warnings"):
            rows[key] = ", ".join(map(str, value))
    return aligned(rows)


def aligned(rows: dict[str, str]) -> str:
    width = max(map(len, rows), default=0)
    return "\n".join(f"  {name:<{width}}  {value}" for name, value in rows.items())


def duration(seconds: float) -> str:
    """27 s, 3 min 20 s, 2 h 5 min"""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s" if whole >= 10 else f"{seconds:.1f} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
