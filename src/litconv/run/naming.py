"""A run's name and its hashes: equal configurations meet in one folder, unequal ones never do."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from litconv.config.root_keys import NOT_HASHED, STAGES

NOT_HASHED_IN = {
    "data": ("num_workers", "memory_limit_mb", "cache_dir", "cache_limit_mb", "download"),  # the batches are the same
    "trainer": ("enable_model_summary", "log_every_n_steps", "num_sanity_val_steps"),
    **dict.fromkeys(("conv", *(f"conv_stage{number}" for number in STAGES)), ("implementation",)),
}
OF_OTHERS = ("name", "decoder", "path")  # what a model of another library is called by
OFF_IN_DATA = (
    *(("in_channels", 3), ("mask_suffix", ""), ("n_train", None), ("sampling", "uniform")),
    *(("fit", None), ("folds", None), ("fold", None), ("vertical_flip", False), ("resized_crop", None), ("erasing", 0)),
    *(("color_jitter", None), ("rand_augment", None), ("trivial_augment", False), ("augment", None)),
)
OFF_IN_TASK = (("monitor", "accuracy"), ("monitor", "miou"), ("class_weights", None), ("focal", 0))
PRECISIONS = {"32": "32-true", "64": "64-true", "16": "16-mixed", "bf16": "bf16-mixed"}  # Lightning's short forms


def config_hash(config: dict[str, Any], leave_out: tuple[str, ...] = ()) -> str:
    """12 hexadecimal digits of the resolved configuration, the same however it was spelt."""
    asked = without_what_is_off(config)
    kept = {"data": {}, "trainer": {}, **{k: v for k, v in asked.items() if k not in (*NOT_HASHED, *leave_out)}}
    for group, keys in NOT_HASHED_IN.items():
        if isinstance(kept.get(group), dict):
            kept[group] = {k: v for k, v in kept[group].items() if k not in keys}
    for key in {"image_size", "crop_size"} & kept["data"].keys():
        side = kept["data"][key]
        kept["data"][key] = [side, side] if isinstance(side, int) else side
    trainer = kept["trainer"]
    trainer["precision"] = precision(config)
    trainer["devices"] = device_count(trainer.get("devices"))
    canonical = json.dumps(same_numbers(kept), sort_keys=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def without_what_is_off(config: dict[str, Any]) -> dict[str, Any]:
    """Where they are off these keys say nothing, as in the configurations of before there were such keys."""
    off = {
        "matmul_precision": "default",
        "compile": {"enabled": False},
        "ema": None,
        "init_from": None,
        "distill": None,
    }
    asked = {**config, "compile": {"enabled": False}} if not config.get("compile", {}).get("enabled") else config
    if asked.get("distill") is None:
        asked = {key: value for key, value in asked.items() if key != "distillation"}
    for group, off_there in (("data", OFF_IN_DATA), ("task", OFF_IN_TASK)):
        if isinstance(asked.get(group), dict):
            asked = {**asked, group: {k: v for k, v in asked[group].items() if (k, v) not in off_there}}
    return {key: value for key, value in asked.items() if key not in off or value != off[key]}


def precision(config: dict[str, Any]) -> str:
    """Lightning's full name of it."""
    short = str(config.get("trainer", {}).get("precision", "32-true"))
    return PRECISIONS.get(short, short)


def device_count(devices: Any) -> Any:
    """How many: of two GPUs of one machine the index does not count. `auto` and -1 stay."""
    if isinstance(devices, str) and "," in devices:
        devices = [index for index in devices.split(",") if index.strip()]
    if isinstance(devices, list):
        return len(devices)
    return int(devices) if isinstance(devices, str) and devices.isdigit() else devices


def same_numbers(value: Any) -> Any:
    """1.0 as 1, so that `width=1` and `width=1.0` meet."""
    if isinstance(value, dict):
        return {k: same_numbers(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [same_numbers(v) for v in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def arm_hash(config: dict[str, Any]) -> str:
    """The configuration without its seed: equal for the runs of one arm."""
    without_seed = {
        group: {k: v for k, v in node.items() if k != "seed"} if isinstance(node, dict) else node
        for group, node in config.items()
    }
    return config_hash(without_seed, leave_out=("seed",))


def run_name(config: dict[str, Any], choices: dict[str, str]) -> str:
    """Readable, at most 100 characters, only letters, digits, '.', '_' and '-'; ends in the hash."""
    short = [f"{k}{config[k]}" for k in ("groups", "dilation", "kernel_size") if k in config]
    stages = [f"s{k[-1]}-{v}" for k, v in sorted(choices.items()) if "@conv_stage" in k]
    depth = config["backbone"].get("depth", "") or "".join(
        f"-{config['backbone'][k]}" for k in OF_OTHERS if config["backbone"].get(k)
    )
    parts = [
        choices["data"],
        f"{choices['backbone']}{depth}",
        choices["conv"],
        *stages,
        *short,
        *([f"equal-{choices['match']}"] if "match" in choices else []),
        f"seed{config['seed']}",
    ]
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", "_".join(parts)).strip(".-")
    return f"{slug[:87]}_{config_hash(config)}"


def run_folder(config: dict[str, Any], name: str) -> Path:
    """Where a run of this name lies."""
    return Path(config["output_dir"], *(["sweeps", str(config["sweep"])] if config["sweep"] else ["runs"]), name)
