"""The cost of one configuration without training: a row with the keys of summary.json, and the layers."""

import json
from dataclasses import dataclass
from typing import Any

import torch

from litconv import config as configuration
from litconv import summary
from litconv.cost.count import Count, count
from litconv.cost.layers import Layer
from litconv.naming import run_name

standards: dict[str, Count] = {}  # what ratios refer to, counted once for all operators in the same place
classes_of: dict[str, int] = {}


@dataclass(frozen=True)
class Point:
    overrides: dict[str, str]  # what the command line set
    row: dict[str, Any]
    layers: list[Layer]


def survey(config: Any) -> Point:
    overrides, choices, _ = configuration.hydra_state(config)
    settings = configuration.plain(config)
    data = configuration.build_data(config)
    classes = config.num_classes or num_classes(json.dumps([settings["data"], choices["task"]]), data)

    operators = {key for key in settings if key.startswith("conv")} | {*configuration.SHORT_NAMES}
    place = {key: value for key, value in settings.items() if key not in operators}
    key = json.dumps([place, classes, configuration.kernel_size(config)], sort_keys=True)
    if key not in standards:
        standards[key] = counted(configuration.with_standard(config), data, classes)
    standard = standards[key]
    is_standard = choices["conv"] == "standard" and not any("@conv_stage" in group for group in choices)
    found = standard if is_standard else counted(config, data, classes)

    row = summary.facts(settings, choices, run_name(settings, choices), overrides) | found.summary()
    row["cost/params_ratio"] = found.params / standard.params
    row["cost/macs_ratio"] = found.macs / standard.macs
    return Point(dict(o.lstrip("+").split("=", 1) for o in overrides if "=" in o), row, found.layers)


def num_classes(key: str, data: Any) -> int:
    """Of a data set, looked at once however many points there are."""
    if key not in classes_of:
        data.name_classes()
        classes_of[key] = data.num_classes
    return classes_of[key]


def counted(config: Any, data: Any, classes: int) -> Count:
    if config.cost.effective_field:  # it depends on the weights
        model = configuration.build_model(config, data.in_channels, classes)
    else:
        with torch.device("meta"):
            model = configuration.assemble(config, data.in_channels, classes)
    return count(model, data.in_channels, data.image_size, **config.cost)
