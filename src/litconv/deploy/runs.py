"""Which runs `scripts/deploy.py` is about, arm by arm. No torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from litconv.errors import ConfigError
from litconv.files import local
from litconv.run import state
from litconv.run.finished import Finished, opened

PURPOSE = "deploy"


@dataclass(frozen=True)
class Run:
    folder: Path
    allowed_packages: tuple[str, ...]

    @cached_property
    def finished(self) -> Finished:
        """Its configuration and its best checkpoint, or one line why there are none."""
        return opened(self.folder, "best", self.allowed_packages, PURPOSE)

    @cached_property
    def summary(self) -> dict[str, Any]:
        return state.read_summary(self.folder)

    @property
    def name(self) -> str:
        return self.summary.get("name", self.folder.name)

    @property
    def arm(self) -> str:
        return str(self.summary.get("arm_hash", self.name))


def runs_of(arguments: DictConfig) -> list[Run]:
    """One, or those of a sweep that are completed: arm by arm, the arms in the order of their first runs' names."""
    if bool(arguments.run) == bool(arguments.sweep):
        raise ConfigError(
            "run=FOLDER or sweep=NAME says what is deployed; give one of them, such as run=outputs/runs/NAME"
        )
    allowed = tuple(arguments.allowed_packages)
    if arguments.run:
        return [Run(opened(arguments.run, "best", allowed, PURPOSE).folder, allowed)]
    folder = local(arguments.output_dir, "output_dir") / "sweeps" / str(arguments.sweep)
    if not folder.is_dir():
        raise ConfigError(f"sweep={arguments.sweep}: there is no folder {folder}; see output_dir")
    runs = [Run(path.parent, allowed) for path in sorted(folder.glob("*/config.yaml"))]
    done = [run for run in runs if state.status(run.folder) == "completed"]
    if not done:
        raise ConfigError(f"sweep={arguments.sweep}: {folder} holds no completed run ({len(runs)} others)")
    if len(done) < len(runs):
        print(f"{len(runs) - len(done)} of {len(runs)} runs are not completed and left out")
    arms = list(dict.fromkeys(run.arm for run in done))
    return sorted(done, key=lambda run: arms.index(run.arm))


def arms_of(runs: Sequence[Run]) -> dict[str, list[Run]]:
    arms: dict[str, list[Run]] = {}
    for run in runs:
        arms.setdefault(run.arm, []).append(run)
    return arms
