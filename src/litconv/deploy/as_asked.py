"""A finished run's configuration as it was before `match=` wrote the width it had found into it: ratios refer to that one."""

from collections.abc import Sequence

import yaml
from omegaconf import DictConfig

from litconv.config import composed, own_yamls


def as_asked(config: DictConfig, overrides: Sequence[str]) -> DictConfig:
    """`config`: of config.yaml. `overrides`: of the command line, as summary.json keeps them."""
    if config.get("match") is None:
        return config
    twin = config.copy()
    twin.backbone.pop("base_channels", None)  # match= takes none
    values = {"backbone.width": config.width}
    if "hidden" in config.head:
        given = dict(override.lstrip("+").split("=", 1) for override in overrides if "=" in override)
        usual = composed.load(own_yamls.path_of("head", config.choices.head)).get("hidden")
        values["head.hidden"] = yaml.safe_load(given.get("head.hidden", str(usual)))
    return composed.with_values(twin, values)
