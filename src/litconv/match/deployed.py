"""The latency of a configuration's network where it will run: on a runtime here, or as a device has measured it."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from litconv import build
from litconv.config import composed
from litconv.cost.architecture import architecture_hash
from litconv.cost.device_csv import read_table
from litconv.cost.latency import Latency, cpu_clock, time_beside, waits_for_a_core
from litconv.data.problem import Problem
from litconv.errors import ConfigError
from litconv.match.budget import DeployedBudget
from litconv.match.in_turns import InTurns
from litconv.runtimes import Session, opened
from litconv.runtimes.files import write_files
from litconv.runtimes.int8 import Calibration
from litconv.runtimes.scheme import scheme_here

CALIBRATION = 16  # images


class OnRuntime(InTurns):
    """In one runtime and precision; int8 is calibrated with random images, on which speed does not depend."""

    def __init__(self, budget: DeployedBudget, config: Any, problem: Problem) -> None:
        self.shape = (problem.in_channels, *problem.image_size)
        self.images = np.random.default_rng(0).standard_normal((budget.batch, *self.shape), np.float32)
        super().__init__(budget, config, problem)

    def session(self, config: Any) -> Session:
        """A runtime may read its file as long as it is open, so that the folder is kept as long."""
        model = super().session(config).eval()
        drawn = torch.randn(CALIBRATION, *self.shape, generator=torch.Generator().manual_seed(0))
        folder = tempfile.TemporaryDirectory()
        calibration = Calibration(drawn.numpy())
        files = write_files(model, drawn[:1], [self.budget.place], calibration, scheme_here(), Path(folder.name))
        session = opened(
            self.budget.place.runtime, files.paths[self.budget.place], self.budget.threads, self.budget.batch
        )
        session.folder = folder
        return session

    def time(self, session: Session, reference: Session | None, seconds: float) -> Latency:
        calls = [lambda one=one: one(self.images) for one in (session, reference) if one]
        return time_beside(calls[0], calls[-1] if reference else None, cpu_clock, 1e3 * seconds, waits_for_a_core)


class OnDevice:
    """What a device has measured of the same architecture: the reference's time, times the ratio of the two ratios to standard
    where it has them."""

    def __init__(self, budget: DeployedBudget, config: Any, problem: Problem) -> None:
        self.table, self.problem = read_table(Path(budget.runtime), "match.runtime"), problem
        stem = "latency_single" if budget.batch == 1 else "latency"
        self.milliseconds, self.ratio = budget.place.key(f"{stem}_ms"), budget.place.key(f"{stem}_ratio")
        self.target, self.to_standard = budget.to, None
        if not budget.is_number:
            figures = self.figures(composed.with_operator(composed.of_model(config), budget.to))
            self.target, self.to_standard = figures[self.milliseconds], figures.get(self.ratio)

    def __call__(self, config: Any) -> float:
        figures = self.figures(config)
        if self.to_standard and self.ratio in figures:
            return self.target * figures[self.ratio] / self.to_standard
        return figures[self.milliseconds]

    confirm = __call__

    def figures(self, config: Any) -> dict[str, float]:
        network = build.on_meta(config, self.problem.in_channels, self.problem.num_classes)
        figures = self.table.of_network(architecture_hash(network))
        if self.milliseconds not in figures:
            arms = ", ".join(dict.fromkeys(row.arm for row in self.table.rows))
            raise ConfigError(
                f"match.runtime={self.table.path} has no {self.milliseconds} of this network at any width, or of the one that "
                f"it is matched to; it measured {arms}"
            )
        return figures
