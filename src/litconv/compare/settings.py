"""What a run was asked for: its config.yaml, flat, without what cannot change the result; and whether runs are alike."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from litconv.errors import ConfigError
from litconv.run.naming import NOT_HASHED, without_what_is_off
from litconv.sweep.given import LOADER

Settings = dict[str, Any]
# Of config.yaml: what a run was trained and tested on. Two runs that differ here answer different questions.
SAME = ("choices.task", "choices.data", "trainer.max_epochs", "trainer.limit_")
SAME_DATA_EXCEPT = ("seed", "root", "num_workers", "memory_limit_mb", "cache_dir", "cache_limit_mb", "download")
CALLED = {
    "choices.task": "task",
    "choices.data": "data",
    "trainer.max_epochs": "epochs",
}
# Of summary.json, where there is no config.yaml.
SUMMARISED = {
    "task": "choices.task",
    "data": "choices.data",
    "train/epochs": "trainer.max_epochs",
    "conv": "choices.conv",
    "backbone": "choices.backbone",
    "head": "choices.head",
    "upsample": "choices.upsample",
    "width": "width",
}
# Keys of summary.json in which the runs of a comparison must agree, and what stands for those that older runs lack.
MEASURED_BY = {"precision", "matmul_precision", "test/split"}
ABSENT = {"matmul_precision": "default"}
CHOSEN_LAYOUT = "memory_format/chosen"  # all that config.yaml leaves open
OPTIONS = ("groups", "dilation", "kernel_size")


def read_config(folder: str | Path) -> dict[str, Any] | None:
    """config.yaml as it was written; None where there is none that can be read."""
    try:
        config = yaml.load((Path(folder) / "config.yaml").read_text(), LOADER)
    except (OSError, ValueError, RecursionError, yaml.YAMLError):
        return None
    return config if isinstance(config, dict) and isinstance(config.get("choices"), dict) else None


def settings(config: Mapping[str, Any] | None, summary: Mapping[str, Any]) -> Settings:
    """Dotted key → value, without the seed. `summary`: all of it where there is no `config`, else CHOSEN_LAYOUT."""
    if config is None:
        names = SUMMARISED | {k: f"choices.conv@{k}" for k in summary if str(k).startswith("conv_stage")}
        names |= {key: f"conv.{key}" for key in OPTIONS}
        return {name: _plain(summary[key]) for key, name in names.items() if _there(summary.get(key))}
    chosen_by_auto = ("memory_format",) if _there(summary.get(CHOSEN_LAYOUT)) else ()
    asked = without_what_is_off(config)
    kept = {k: v for k, v in asked.items() if k not in (*NOT_HASHED, *chosen_by_auto, "seed", "callbacks")}
    dotted = _dotted(kept)
    unwanted = {"choices.logger", "choices.callbacks", "choices.trainer", "choices.experiment"}
    if config["choices"].get("match"):  # what the match found, not what was asked for
        unwanted |= {"backbone.base_channels", "head.hidden"}
    return {
        key: _plain(value, key)
        for key, value in dotted.items()
        if not key.endswith(("._target_", "._partial_", ".seed", ".implementation")) and key not in unwanted
    }


def hash_of(asked: Settings) -> str:
    """For a summary of before there was an arm_hash."""
    return hashlib.sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()[:12]


def differences(arms: Iterable[tuple[Settings, pd.DataFrame]]) -> dict[str, dict[Any, int]]:
    """What runs should agree in: key, as a reader calls it → value → how many runs have it."""
    values: dict[str, dict[Any, int]] = {}
    for asked, runs in arms:
        conditions = {key: value for key, value in asked.items() if _is_condition(key)}
        for key, value in conditions.items():
            counts = values.setdefault(CALLED.get(key, key), {})
            counts[value] = counts.get(value, 0) + len(runs)
        for key in MEASURED_BY & set(runs.columns):
            counts = values.setdefault(key, {})
            written = runs[key].fillna(ABSENT[key]) if key in ABSENT else runs[key].dropna()
            for value in map(str, written):
                counts[value] = counts.get(value, 0) + 1
    if len(values.get("data", ())) > 1:  # then its options differ for that reason alone
        values = {key: counts for key, counts in values.items() if not key.startswith("data.")}
    return values


def check_alike(arms: Iterable[tuple[Settings, pd.DataFrame]]) -> list[str]:
    """What runs that should be alike differ in, one clause each: `epochs=3 (9 runs) and epochs=30 (6 runs)`."""
    return [
        " and ".join(f"{key}={value} ({n} run{'s' * (n > 1)})" for value, n in counts.items())
        for key, counts in differences(arms).items()
        if len(counts) > 1
    ]


def refuse_unlike(clauses: list[str], proposal: str) -> None:
    if clauses:
        raise ConfigError(
            f"these runs are not alike: {'; '.join(clauses)}; choose those that agree ({proposal}, or folders=[…]), or "
            "compare them all the same with mix=true"
        )


def _is_condition(key: str) -> bool:
    if key.startswith("data."):
        return key.removeprefix("data.") not in SAME_DATA_EXCEPT
    return key.startswith(SAME)


def _plain(value: Any, key: str = "") -> Any:
    """Something that can be compared and shown; a square image's size as both sides."""
    if key.endswith(("image_size", "crop_size")) and isinstance(value, int):
        value = [value, value]
    return value if isinstance(value, str | int | float | None) else json.dumps(value, default=str)


def _there(value: Any) -> bool:
    return value is not None and value == value


def _dotted(node: Mapping[str, Any]) -> dict[str, Any]:
    dotted = {}
    for key, value in node.items():
        if isinstance(value, Mapping):
            dotted |= {f"{key}.{inner}": v for inner, v in _dotted(value).items()}
        else:
            dotted[str(key)] = value
    return dotted
