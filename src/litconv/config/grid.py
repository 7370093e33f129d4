"""The points of a multirun without its jobs: for commands that look at all points together and write no folders."""

from collections.abc import Iterator

import hydra
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from litconv.config.composed import CONF


def points(overrides: list[str], config_name: str) -> Iterator[tuple[list[str], DictConfig]]:
    """The overrides and the configuration of each, the grid spanned as Hydra's sweeper does; that composes all twice."""
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
        swept = [*recipe(overrides, config_name), *overrides]
        for batch in BasicSweeper.split_arguments(parser.parse_overrides(swept), max_batch_size=None):
            for point in batch:
                composed = [*point, "hydra.mode=MULTIRUN"]
                yield point, hydra.compose(config_name, composed, return_hydra_config=True)


def recipe(overrides: list[str], config_name: str) -> list[str]:
    """What `experiment=` sweeps and the command line does not; seeds left out, since no cost depends on them."""
    chosen = [override for override in overrides if override.lstrip("+").startswith("experiment=")]
    if not chosen:
        return []
    params = hydra.compose(config_name, chosen, return_hydra_config=True).hydra.sweeper.get("params") or {}
    given = {override.lstrip("+").partition("=")[0] for override in overrides}
    return [f"{key}={values}" for key, values in params.items() if key not in given and key != "seed"]
