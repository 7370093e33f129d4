"""What one point of `scripts/cost.py` costs, without training: a row with the keys of summary.json."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from omegaconf import DictConfig
from torch import nn

from litconv import build
from litconv.config import composed
from litconv.cost import Count, Layer
from litconv.cost.device_csv import DeviceTable
from litconv.cost.hazards import Hazard
from litconv.data.problem import Problem
from litconv.device import set_matmul_precision
from litconv.errors import ConfigError, DataError
from litconv.match import find_width
from litconv.prepare.checks import check_size
from litconv.prepare.costs import counted, measured
from litconv.prepare.deployed import untrained_costs
from litconv.prepare.devices import on_devices
from litconv.prepare.layout import Layout, choose_layout
from litconv.run.asked import Asked
from litconv.run.summary import facts

MOST = 1_000_000  # classes: each has a name here
_standards: dict[str, Count] = {}  # what ratios refer to, counted once for all operators in the same place


@dataclass(frozen=True)
class Point:
    overrides: dict[str, str]  # what the command line set
    row: dict[str, Any]
    layers: list[Layer]
    hazards: list[Hazard]


def survey(config: DictConfig, devices: Sequence[DeviceTable] = ()) -> Point:
    """`devices`: what other machines measured."""
    asked = Asked.of(config)
    set_matmul_precision(config.matmul_precision)
    problem = problem_of(config, asked)
    device = build.device(config) if needs_device(config) else torch.device("cpu")
    standard = standard_count(asked, problem)
    width = find_width(asked, problem, device)
    layout = Layout(config.memory_format, {})
    if config.cost.latency.enabled:
        layout = choose_layout(width.config, problem, device)
    model = model_of(layout.of(width.config), problem)
    count = standard if composed.is_standard(config) else counted(config, model, problem)

    row = facts(asked) | count.summary() | width.summary(count)
    row["cost/params_ratio"] = count.params / standard.params
    row["cost/macs_ratio"] = count.macs / standard.macs
    row |= (
        layout.facts | measured(config, model, problem, device, layout.name) | untrained_costs(config, model, problem)
    )
    row |= on_devices(devices, model, asked.arm())
    set_here = dict(o.lstrip("+").split("=", 1) for o in asked.overrides if "=" in o)
    return Point(set_here, row, count.layers, count.hazards)


def problem_of(config: DictConfig, asked: Asked) -> Problem:
    """Of the data set, which need not be there where its size and its classes are known or given."""
    if config.num_classes is not None and (type(config.num_classes) is not int or not 1 <= config.num_classes <= MOST):
        raise ConfigError(f"num_classes={config.num_classes} must be a whole number from 1 to {MOST}")
    try:
        data = build.data(config)
    except DataError as error:  # it looked for the size of the first image
        sizes = "data.image_size=224 num_classes=10"
        raise ConfigError(f"{error}; costs need no data where its facts are given, as in {sizes}") from error
    if config.num_classes is not None:
        data.class_names = tuple(map(str, range(config.num_classes)))
    if not data.problem.classes_known:
        raise ConfigError(
            f"data={asked.choices['data']} names its classes on disk, and nothing is at data.root={config.data.root}; "
            "set data.root to where it is, or say how many classes there are: num_classes=10"
        )
    return data.problem


def needs_device(config: DictConfig) -> bool:
    return config.cost.latency.enabled or composed.select(config, "match.by") == "latency"


def standard_count(asked: Asked, problem: Problem) -> Count:
    """Of the same network with standard convolutions."""
    config, operators = asked.config, {k for k in asked.settings if k.startswith("conv")} | {*composed.SHORT_NAMES}
    place = {key: value for key, value in asked.settings.items() if key not in operators}
    key = json.dumps([place, str(problem), composed.kernel_size(config)], sort_keys=True)
    if key not in _standards:
        _standards[key] = counted(config, model_of(composed.with_standard(config), problem), problem)
    return _standards[key]


def model_of(config: DictConfig, problem: Problem) -> nn.Module:
    """Without memory where shapes are enough."""
    needs_weights = config.cost.effective_field or config.cost.latency.enabled or config.deploy.runtimes
    network = (build.model if needs_weights else build.on_meta)(config, problem.in_channels, problem.num_classes)
    check_size(network, problem.image_size)
    return network
