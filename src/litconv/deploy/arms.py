"""Arms of finished runs: one run of each, and the same network of standard convolutions that its latency refers to."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from litconv.config import composed
from litconv.deploy.as_asked import as_asked
from litconv.deploy.runs import Run, arms_of
from litconv.errors import ConfigError
from litconv.run.asked import Asked

NETWORK = ("backbone", "head", "upsample")  # what a network is made of, besides its operators


@dataclass(frozen=True)
class Arm:
    folder: Path  # of its run with the lowest seed
    run: str  # that run's name
    name: str
    arm_hash: str
    config: DictConfig
    standard: DictConfig  # with standard convolutions at the width that was asked for

    @classmethod
    def of(cls, run: Run) -> "Arm":
        config, summary = run.finished.config, run.summary
        name = str(summary.get("arm") or Asked.of(config).arm(summary.get("match/width")))
        standard = composed.with_standard(as_asked(config, summary.get("overrides", [])))
        return cls(run.folder, run.name, name, run.arm, config, standard)


def one_of_each(runs: Sequence[Run]) -> tuple[list[Arm], dict[str, str]]:
    """In the order of their names; and why an arm has none: a name → a line."""
    arms: list[Arm] = []
    left_out: dict[str, str] = {}
    for seeds in arms_of(runs).values():
        first = min(seeds, key=lambda run: (not is_there(run), run.summary.get("seed", 0)))
        try:
            arms.append(Arm.of(first))
        except ConfigError as error:
            left_out[first.name] = str(error)
    if not arms:
        raise ConfigError(next(iter(left_out.values())))
    names = [arm.name for arm in arms]
    arms = [arm if names.count(arm.name) == 1 else replace(arm, name=f"{arm.name} ({arm.arm_hash})") for arm in arms]
    return sorted(arms, key=lambda arm: arm.name), left_out


def is_there(run: Run) -> bool:
    """Whether it has its checkpoint."""
    return (run.folder / "checkpoints" / "best.ckpt").exists()


def network_of(config: DictConfig) -> str:
    """Equal for equal networks: a hash of operators, backbone and head."""
    slots = ("conv", *(f"conv_stage{number}" for number in composed.STAGES))
    parts: dict[str, Any] = {key: OmegaConf.to_container(config[key], resolve=True) for key in NETWORK if key in config}
    parts |= {key: composed.class_and_options(node) for key in slots if (node := config.get(key)) is not None}
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:12]
