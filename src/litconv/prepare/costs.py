"""The costs of a run's model, counted and measured, as the keys of summary.json."""

from functools import partial
from typing import Any

import torch
from omegaconf import DictConfig
from pytorch_lightning.utilities import rank_zero_only
from torch import nn

from litconv import build
from litconv.config import composed
from litconv.config.composed import declared
from litconv.cost import Count, UnfitImageError, count, measure
from litconv.data.problem import Problem
from litconv.device import device_named
from litconv.errors import ConfigError
from litconv.optim import optimizer_for
from litconv.prepare.layout import choose_layout, with_format


def counted(config: DictConfig, model: nn.Module, problem: Problem) -> Count:
    options = {key: config.cost[key] for key in ("allow_uncounted", "effective_field")}
    try:
        cost = count(model, problem.in_channels, problem.image_size, **options)
    except UnfitImageError as error:
        raise ConfigError(
            f"{error}; choose another data.image_size or backbone (timm's of one size take +backbone.options.img_size)"
        ) from error
    require_logits(cost, declared(config.task).constants["name"], problem)
    return cost


def require_logits(cost: Count, task: str, problem: Problem) -> None:
    """Nothing else says what somebody else's network puts out."""
    expected = (1, problem.num_classes, *(problem.image_size if task == "segmentation" else ()))
    if cost.output != expected:
        needed, found = ("×".join(map(str, shape)) for shape in (expected, cost.output or ()))
        raise ConfigError(
            f"the network puts out {found or 'no single tensor'} for one image, and task={task} needs logits of {needed}; "
            "its forward must return one tensor, a value for each class"
        )


def measured(
    asked: DictConfig, model: nn.Module, problem: Problem, device: torch.device, memory_format: str
) -> dict[str, Any]:
    """In `memory_format`, beside the model of standard convolutions at the width that was asked for (under
    `memory_format=auto` in its own layout); empty where it is not asked for. `device` is the trainer's."""
    latency = asked.cost.latency
    if not latency.enabled or rank_zero_only.rank != 0:
        return {}
    standard, standard_format = None, memory_format
    if not composed.is_standard(asked):
        twin = composed.with_standard(asked)
        standard = build.model(twin, problem.in_channels, problem.num_classes)
        standard_format = choose_layout(twin, problem, device).name
    measurement = measure(
        model,
        standard,
        partial(optimizer_for, optim=build.part(asked.optim)),
        problem.in_channels,
        problem.image_size,
        device=latency_device(asked, device),
        precision=asked.trainer.precision,
        memory_format=build.memory_format(with_format(asked, memory_format)),
        reference_format=build.memory_format(with_format(asked, standard_format)),
        batch=latency.batch,
        seconds=latency.seconds,
        shared=asked.slots_per_gpu > 1,
    )
    return measurement.summary() if measurement else {}


def latency_device(config: DictConfig, trainers: torch.device) -> torch.device:
    """Where latencies are measured: where the run trains, unless `cost.latency.device` names another."""
    name = config.cost.latency.device
    return trainers if name == "auto" else device_named(name, "cost.latency.device")
