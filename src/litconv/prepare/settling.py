"""What is settled before training: the card, the width, the layout, the model, its costs. Each is recorded as it is known."""

import logging

import torch
from torch import nn

from litconv import build
from litconv.config.composed import declared
from litconv.conv.slot import HasImplementations
from litconv.cost import Layer
from litconv.data.module import DataModule
from litconv.match import find_width
from litconv.prepare.costs import counted, measured
from litconv.prepare.layout import choose_layout
from litconv.prepare.starting import give_teacher, load_weights
from litconv.run.asked import Asked
from litconv.run.card import Card
from litconv.run.folder import RunFolder
from litconv.tasks.base import Task

log = logging.getLogger(__name__)


def settle(asked: Asked, data: DataModule, device: torch.device, folder: RunFolder) -> tuple[Task, list[Layer]]:
    """The task that is trained, and the costs of its layers. `data` has been read."""
    folder.write_card(Card.of(declared(asked.config.task).constants["name"], data))
    problem = data.problem
    width = find_width(asked, problem, device)
    width.announce()
    layout = choose_layout(width.config, problem, device)
    folder.record(layout.facts)
    trained = layout.of(width.config)
    if trained is not asked.config:
        folder.write_config(asked.config_yaml(trained))

    task = build.task(trained, data)
    folder.record(surgery(task.model) | load_weights(asked, task))
    count = counted(asked.config, task.model, problem)
    folder.record(count.summary() | width.summary(count) | {"arm": asked.arm(width.facts.get("match/width"))})
    folder.record(measured(asked.config, task.model, problem, device, layout.name))
    folder.record(implementations(task.model, device))
    folder.record(give_teacher(asked, task, data))
    return task, count.layers


def surgery(model: nn.Module) -> dict[str, str]:
    """What was done to a model of another library."""
    backbone = model.backbone
    if not hasattr(backbone, "swapped"):
        return {}
    report = backbone.swapped.report
    remarks = f" ({'; '.join(report.remarks())})" if report.remarks() else ""
    line = f"{report.line()}{remarks}"
    log.info("%s", line)
    if loaded := getattr(backbone, "loaded", ""):
        log.info("backbone.pretrained: %s", loaded)
    return {"backbone/swapped": line, **({"backbone/pretrained": loaded} if loaded else {})}


def implementations(model: nn.Module, device: torch.device) -> dict[str, str]:
    """What computes the operators that have several implementations."""
    names = {module.implementation_on(device) for module in model.modules() if isinstance(module, HasImplementations)}
    return {"conv/implementation": ", ".join(sorted(names))} if names else {}
