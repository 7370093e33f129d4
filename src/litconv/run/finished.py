"""A finished run, opened again: its configuration and a checkpoint, or one line on why it cannot be. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from glob import escape
from pathlib import Path

from omegaconf import DictConfig

from litconv.config import composed
from litconv.config.saved_run import load_run
from litconv.errors import ConfigError
from litconv.files import local
from litconv.run import own_runs

OUTPUTS = Path("outputs")  # where runs lie that are given by their names


@dataclass(frozen=True)
class Finished:
    folder: Path
    config: DictConfig
    checkpoint: Path


def opened(run: str | Path | None, checkpoint: str, allowed_packages: Sequence[str], purpose: str) -> Finished:
    """To be evaluated, diagnosed, …, which `purpose` says. `run`: its folder, the folder's name, or one of its checkpoints."""
    if not run:
        raise ConfigError(f"run is missing: the folder of the run to {purpose}, such as run=outputs/runs/NAME")
    place = local(run, "run")
    if place.suffix == ".ckpt" and place.is_file():
        folder, checkpoint = around(place), place.stem
    else:
        folder = folder_of(place)
    if not isinstance(checkpoint, str) or "/" in checkpoint:
        raise ConfigError(f"checkpoint={checkpoint} must be the name of one in the run's folder: best or last")
    path = folder / "checkpoints" / f"{checkpoint.removesuffix('.ckpt')}.ckpt"
    if not path.exists():
        there = (
            ", ".join(sorted(p.stem for p in path.parent.glob("*.ckpt"))) or "none; train it again, or give another run"
        )
        raise ConfigError(f"checkpoint={checkpoint} is not in {folder}; there: {there}")
    return Finished(folder, config_of(folder, allowed_packages), path)


def folder_of(place: Path) -> Path:
    """A run's folder, or the one run of that name below `outputs`."""
    if (place / "config.yaml").exists():
        return place
    by_name = [OUTPUTS / "runs" / place, *sorted((OUTPUTS / "sweeps").glob(f"*/{escape(place.name)}"))]
    found = [folder for folder in by_name if (folder / "config.yaml").exists()] if len(place.parts) == 1 else []
    if len(found) > 1:
        raise ConfigError(
            f"run={place} is the name of {len(found)} runs: {', '.join(map(str, found))}; give one of them"
        )
    if not found:
        raise ConfigError(f"run={place} is not a run's folder; give one, such as run=outputs/runs/NAME")
    return found[0]


def around(checkpoint: Path) -> Path:
    """The run's folder that a checkpoint lies in; its network is not in the file."""
    folder = checkpoint.resolve().parents[1]
    if checkpoint.resolve().parent.name != "checkpoints" or not (folder / "config.yaml").exists():
        raise ConfigError(
            f"run={checkpoint} lies in no run's folder, whose config.yaml says which network it is of; give the run's folder"
        )
    return folder


def config_of(folder: Path, allowed_packages: Sequence[str]) -> DictConfig:
    """The folder may be somebody else's, so that its config.yaml does not say what may be built: the command line does. Packages
    that the user's own run named need not be named again."""
    written = folder / "config.yaml"
    config = load_run(written, [*allowed_packages, *own_runs.packages_of(written)])
    if composed.select(config, "backbone.pretrained"):
        config.backbone.pretrained = False  # its weights are in the checkpoint
    return config
