"""A run's name and its hashes: equal configurations meet in one folder, unequal ones never do."""

import hashlib
import json
import re
from typing import Any

# What cannot change the result (rounding apart), and the short names, which the operator's own options already carry.
NOT_HASHED = ("output_dir", "sweep", "logger", "cost", "epochs", "groups", "dilation", "kernel_size")
NOT_HASHED_OF_OPERATORS = ("implementation",)


def config_hash(config: dict[str, Any], leave_out: tuple[str, ...] = ()) -> str:
    """12 hexadecimal digits of the resolved configuration; of two GPUs of one machine the index does not count."""
    kept = {k: _of_operator(v) if k.startswith("conv") else v for k, v in config.items()}
    kept = {k: v for k, v in kept.items() if k not in (*NOT_HASHED, *leave_out)}
    trainer = dict(kept.get("trainer", {}))
    if isinstance(trainer.get("devices"), list):
        trainer["devices"] = len(trainer["devices"])
    canonical = json.dumps(same_numbers({**kept, "trainer": trainer}), sort_keys=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]


def _of_operator(node: Any) -> Any:
    """An operator's options without those that decide how fast it is."""
    return {k: v for k, v in node.items() if k not in NOT_HASHED_OF_OPERATORS} if isinstance(node, dict) else node


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
    depth = config["backbone"].get("depth", "")
    parts = [
        choices["data"],
        f"{choices['backbone']}{depth}",
        choices["conv"],
        *stages,
        *short,
        f"seed{config['seed']}",
    ]
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", "_".join(parts)).strip(".-")
    return f"{slug[:87]}_{config_hash(config)}"
