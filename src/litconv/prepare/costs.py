"""The cost of one configuration: of a run's model, or without training as a row with the keys of summary.json."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from pytorch_lightning.utilities import rank_zero_only
from torch import nn

from litconv import build
from litconv.config import composed as configuration
from litconv.cost.counter import Count, count
from litconv.cost.layers import Layer
from litconv.cost.measurement import device_named, measure
from litconv.device import set_matmul_precision
from litconv.optim import optimizer_for
from litconv.prepare.layout import Layout, settled, with_format
from litconv.run import summary
from litconv.run.naming import run_name

standards: dict[str, Count] = {}  # what ratios refer to, counted once for all operators in the same place
classes_of: dict[str, int] = {}
known: dict[str, Count] = {}  # by arm: its seeds share one


@dataclass(frozen=True)
class Point:
    overrides: dict[str, str]  # what the command line set
    row: dict[str, Any]
    layers: list[Layer]


def survey(config: Any, matched: Callable[[Any, Any, int], Any]) -> Point:
    """`matched` is litconv.match's, which stands above the costs."""
    overrides, choices, _ = configuration.hydra_state(config)
    settings = configuration.plain(config)
    set_matmul_precision(config.matmul_precision)
    data = build.data(config)
    classes = config.num_classes or num_classes(json.dumps([settings["data"], choices["task"]]), data)

    operators = {key for key in settings if key.startswith("conv")} | {*configuration.SHORT_NAMES}
    place = {key: value for key, value in settings.items() if key not in operators}
    key = json.dumps([place, classes, configuration.kernel_size(config)], sort_keys=True)
    if key not in standards:
        standards[key] = counted(config, model_of(configuration.with_standard(config), data, classes), data)
    equal = matched(config, data, classes)
    layout = Layout(config.memory_format, {})
    if config.cost.latency.enabled:
        layout = settled(equal.config, data, classes)
    model = model_of(layout.of(equal.config), data, classes)
    found = standards[key] if configuration.is_standard(config) else counted(config, model, data)

    row = summary.facts(settings, choices, run_name(settings, choices)) | found.summary() | equal.summary(found)
    row["cost/params_ratio"] = found.params / standards[key].params
    row["cost/macs_ratio"] = found.macs / standards[key].macs
    row |= layout.facts | measured(config, model, data, classes, layout.name)
    return Point(dict(o.lstrip("+").split("=", 1) for o in overrides if "=" in o), row, found.layers)


def num_classes(key: str, data: Any) -> int:
    """Of a data set, looked at once however many points there are."""
    if key not in classes_of:
        data.name_classes()
        classes_of[key] = data.num_classes
    return classes_of[key]


def model_of(config: Any, data: Any, classes: int) -> nn.Module:
    """Without memory where shapes are enough."""
    if config.cost.effective_field or config.cost.latency.enabled:
        return build.model(config, data.in_channels, classes)
    with torch.device("meta"):
        return build.assemble(config, data.in_channels, classes)


def counted(config: Any, model: nn.Module, data: Any) -> Count:
    options = {key: config.cost[key] for key in ("allow_uncounted", "effective_field")}
    return count(model, data.in_channels, data.image_size, **options)


def counted_once(arm: str, config: Any, model: nn.Module, data: Any) -> Count:
    """The same, of a run: equal for all seeds of an arm, unless the weights' values were asked about."""
    if config.cost.effective_field:
        return counted(config, model, data)
    key = f"{arm}, allow_uncounted={config.cost.allow_uncounted}"
    if key not in known:
        known[key] = counted(config, model, data)
    return known[key]


def measured(config: Any, model: nn.Module, data: Any, classes: int, layout: str) -> dict[str, Any]:
    """The keys of summary.json, beside the same model of standard convolutions (under `memory_format=auto` in its own
    layout); empty where it is not asked for."""
    latency = config.cost.latency
    if not latency.enabled or rank_zero_only.rank != 0:
        return {}
    standard, beside = None, layout
    if not configuration.is_standard(config):
        twin = configuration.with_standard(config)
        standard, beside = build.model(twin, data.in_channels, classes), settled(twin, data, classes).name
    found = measure(
        model,
        standard,
        partial(optimizer_for, optim=build.part(config.optim)),
        data.in_channels,
        data.image_size,
        device=device(config),
        precision=config.trainer.precision,
        memory_format=build.memory_format(with_format(config, layout)),
        reference_format=build.memory_format(with_format(config, beside)),
        batch=latency.batch,
        seconds=latency.seconds,
    )
    return found.summary() if found else {}


def device(config: Any) -> torch.device:
    """Where costs are measured: the trainer's own device, unless `cost.latency.device` names another."""
    if config.cost.latency.device != "auto":
        return device_named(config.cost.latency.device)
    return build.trainer(config, logger=False, callbacks=[]).strategy.root_device
