"""Networks where they are deployed, beside the network of standard convolutions: their files and what these cost."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import nn

from litconv import build
from litconv.config import composed
from litconv.cost.deployed_keys import Place
from litconv.data.problem import Problem
from litconv.prepare.checks import check_size
from litconv.runtimes.files import Files, write_files
from litconv.runtimes.int8 import Calibration
from litconv.runtimes.measuring import HowMeasured, measure
from litconv.runtimes.scheme import scheme_here

OF_NETWORK = ("conv", "backbone", "head", "upsample")


@dataclass(frozen=True)
class Deploying:
    """What was asked for."""

    places: tuple[Place, ...]
    how: HowMeasured
    images: int  # of the calibration
    method: str

    @classmethod
    def of(cls, runtimes: list[str], node: Mapping[str, Any]) -> "Deploying":
        """`node`: of `deploy` in a run's configuration, or a command's own that has the same keys."""
        places = tuple(Place(runtime, precision) for runtime in runtimes for precision in node["precision"])
        how = HowMeasured(node["threads"], node["batch"], node["seconds"])
        return cls(places, how, node["calibration"]["images"], node["calibration"]["method"])

    @property
    def needs_calibration(self) -> bool:
        return any(place.precision == "int8" for place in self.places)


class Bench:
    """Where files lie while they are measured, those of a reference for all networks that are held against it."""

    def __init__(self, deploying: Deploying) -> None:
        self.deploying = deploying
        self.scheme = scheme_here()
        self.references: dict[str, Files] = {}
        self.number = 0
        self.folder = tempfile.TemporaryDirectory(prefix="litconv-deploy-")

    def __enter__(self) -> "Bench":
        return self

    def __exit__(self, *unused: object) -> None:
        self.folder.cleanup()

    def files(self, model: nn.Module, problem: Problem, calibration: Calibration | None) -> Files:
        self.number += 1
        folder = Path(self.folder.name, str(self.number))
        folder.mkdir()
        example = torch.zeros(2, problem.in_channels, *problem.image_size)
        return write_files(model, example, self.deploying.places, calibration, self.scheme, folder)

    def reference(self, config: DictConfig, problem: Problem, calibration: Calibration | None) -> Files | None:
        """Of the same network with standard convolutions, at the width that was asked for, with the weights it starts from; None
        where the network is that itself."""
        if composed.is_standard(config):
            return None
        twin = composed.with_standard(config)
        settings = composed.plain(twin)
        key = json.dumps([{k: settings.get(k) for k in OF_NETWORK}, str(problem)], sort_keys=True, default=str)
        if key not in self.references:
            model = build.model(twin, problem.in_channels, problem.num_classes)
            check_size(model, problem.image_size)
            self.references[key] = self.files(model.eval(), problem, calibration)
        return self.references[key]

    def costs(self, files: Files, reference: Files | None, problem: Problem) -> tuple[dict[str, float], list[str]]:
        """The figures, and where the machine was too busy."""
        return measure(files, reference, (problem.in_channels, *problem.image_size), self.deploying.how)


def untrained_costs(config: DictConfig, model: nn.Module, problem: Problem) -> dict[str, float]:
    """Of `scripts/cost.py`: int8 has ranges by random images, which change no latency."""
    if not config.deploy.runtimes:
        return {}
    deploying = Deploying.of(list(config.deploy.runtimes), config.deploy)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(deploying.images, problem.in_channels, *problem.image_size, generator=generator)
    calibration = Calibration(images.numpy(), deploying.method)
    bench = bench_of(deploying)
    files = bench.files(model.eval(), problem, calibration)
    figures, _ = bench.costs(files, bench.reference(config, problem, calibration), problem)
    return figures


@cache
def bench_of(deploying: Deploying) -> Bench:
    """One for all points of a table, so that their references are written once; its folder goes with the process."""
    return Bench(deploying)
