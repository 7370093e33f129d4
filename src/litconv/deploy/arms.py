"""Arms of finished runs: one run of each, and the same network of standard convolutions that its latency refers to."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from litconv.config import composed
from litconv.errors import ConfigError
from litconv.run.arm_name import FOUND_BY_MATCH
from litconv.run.asked import Asked
from litconv.run.finished import config_of
from litconv.run.state import read_summary

NETWORK = ("backbone", "head", "upsample")  # what a network is made of, besides its operators


@dataclass(frozen=True)
class Arm:
    folder: Path  # of its run with the lowest seed
    run: str  # that run's name
    name: str
    arm_hash: str
    config: DictConfig

    @property
    def network(self) -> str:
        return network_of(self.config)


def arms_in(folders: Iterable[Path], allowed_packages: Sequence[str] = ()) -> list[Arm]:
    """Of runs, or of folders of runs, those that are completed; in the order of their names."""
    found: dict[str, tuple[int, Path, Mapping[str, Any]]] = {}
    there = 0
    for folder in folders:
        for run in runs_in(folder):
            there += 1
            summary = read_summary(run)
            if summary.get("status") != "completed" or not (run / "checkpoints" / "best.ckpt").exists():
                continue
            key, seed = str(summary["arm_hash"]), int(summary["seed"])
            if key not in found or seed < found[key][0]:
                found[key] = seed, run, summary
    if not found:
        where = ", ".join(map(str, folders))
        said = f"holds {there} runs, none of them completed with its checkpoint" if there else "holds no run"
        raise ConfigError(f"{where} {said}; train some first")
    arms = []
    for key, (_, run, summary) in found.items():
        config = config_of(run, allowed_packages)
        name = str(summary.get("arm") or Asked.of(config).arm(summary.get("match/width")))
        arms.append(Arm(run, str(summary.get("name") or run.name), name, key, config))
    names = [arm.name for arm in arms]
    arms = [arm if names.count(arm.name) == 1 else replace(arm, name=f"{arm.name} ({arm.arm_hash})") for arm in arms]
    return sorted(arms, key=lambda arm: arm.name)


def runs_in(folder: Path) -> list[Path]:
    """The folder itself, if it is a run, or the runs in it."""
    if (folder / "config.yaml").exists():
        return [folder]
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder; give a run's or a sweep's, such as outputs/sweeps/NAME")
    return sorted(path.parent for path in folder.glob("*/config.yaml"))


def standard_of(config: DictConfig) -> DictConfig:
    """The same with standard convolutions, at the width that was asked for: what `match` found is taken back."""
    standard = composed.with_standard(config)
    if config.get("match") is not None:
        for group, keys in FOUND_BY_MATCH.items():
            for key in keys:
                if key in standard[group]:
                    del standard[group][key]
    return standard


def network_of(config: DictConfig) -> str:
    """Equal for equal networks: a hash of operators, backbone and head."""
    slots = ("conv", *(f"conv_stage{number}" for number in composed.STAGES))
    parts = {key: OmegaConf.to_container(config[key], resolve=True) for key in NETWORK if key in config}
    parts |= {key: composed.class_and_options(node) for key in slots if (node := config.get(key)) is not None}
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:12]
