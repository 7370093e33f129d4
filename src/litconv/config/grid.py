"""The points of a multirun without its jobs: for commands that look at all points together and write no folders."""

from collections.abc import Iterator
from itertools import product

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig

from litconv.config.own_yamls import SEARCHPATH
from litconv.config.places import CONF
from litconv.errors import ConfigError


def points(overrides: list[str], config_name: str) -> Iterator[tuple[list[str], DictConfig]]:
    """What tells each from the others, and its configuration; the grid is spanned as Hydra's sweeper does, that composes all
    twice."""
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        if places := [o for o in overrides if o.startswith(SEARCHPATH)]:
            hydra.compose(config_name, places)  # from here on its loader knows what lies there: conv=glob(*)
        parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
        swept = [*recipe(overrides, config_name), *overrides]
        axes = [values(override) for override in parser.parse_overrides(swept)]
        for point in map(list, product(*axes)):
            own = [override for override, axis in zip(point, axes, strict=True) if len(axis) > 1]
            yield own, hydra.compose(config_name, [*point, "hydra.mode=MULTIRUN"], return_hydra_config=True)


def values(override: Override) -> list[str]:
    """An override for each value that it sweeps."""
    if not override.is_sweep_override():
        return [override.input_line]
    if not override.is_discrete_sweep():
        raise ConfigError(
            f"{override.input_line}: an interval has no points to look at one by one; give values, as in 1,2,4"
        )
    key = override.get_key_element()
    return [f"{key}={value}" for value in override.sweep_string_iterator()]


def recipe(overrides: list[str], config_name: str) -> list[str]:
    """What `experiment=` sweeps and the command line does not; seeds and the optimiser's options left out, since no cost
    depends on them."""
    chosen = [override for override in overrides if override.lstrip("+").startswith("experiment=")]
    if not chosen:
        return []
    params = hydra.compose(config_name, chosen, return_hydra_config=True).hydra.sweeper.get("params") or {}
    given = {override.lstrip("+").partition("=")[0] for override in overrides}
    without_cost = {key for key in params if key == "seed" or key.startswith("optim.")}
    return [f"{key}={values}" for key, values in params.items() if key not in {*given, *without_cost}]
