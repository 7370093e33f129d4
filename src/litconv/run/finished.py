"""A finished run, opened again: its configuration and a checkpoint, or one line on why it cannot be. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

from litconv.config import composed
from litconv.errors import ConfigError
from litconv.files import local
from litconv.run import own_runs


@dataclass(frozen=True)
class Finished:
    folder: Path
    config: DictConfig
    checkpoint: Path


def opened(run: str | None, checkpoint: str, allowed_packages: list[str], purpose: str) -> Finished:
    """To be evaluated, diagnosed, …, which `purpose` says."""
    if not run:
        raise ConfigError(f"run is missing: the folder of the run to {purpose}, such as run=outputs/runs/NAME")
    folder = local(run, "run")
    if not (folder / "config.yaml").exists():
        raise ConfigError(f"run={run} is not a run's folder; give one, such as run=outputs/runs/NAME")
    if not isinstance(checkpoint, str) or "/" in checkpoint:
        raise ConfigError(f"checkpoint={checkpoint} must be the name of one in the run's folder: best or last")
    path = folder / "checkpoints" / f"{checkpoint}.ckpt"
    if not path.exists():
        there = ", ".join(sorted(p.stem for p in path.parent.glob("*.ckpt"))) or "none"
        raise ConfigError(f"checkpoint={checkpoint} is not in {folder}; there: {there}")
    return Finished(folder, config_of(folder, allowed_packages), path)


def config_of(folder: Path, allowed_packages: Sequence[str]) -> DictConfig:
    """The folder may be somebody else's, so that its config.yaml does not say what may be built: the command line does. Packages
    that the user's own run named need not be named again."""
    written = folder / "config.yaml"
    config = composed.load_run(written, [*allowed_packages, *own_runs.packages_of(written)])
    if composed.select(config, "backbone.pretrained"):
        config.backbone.pretrained = False  # its weights are in the checkpoint
    return config
