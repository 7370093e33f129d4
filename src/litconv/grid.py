"""The points of a multirun without its jobs: for commands that look at all points together and write no folders."""

from collections.abc import Iterator

import hydra
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from litconv.config import CONF


def points(overrides: list[str], config_name: str) -> Iterator[tuple[list[str], DictConfig]]:
    """The overrides and the configuration of each, the grid spanned as Hydra's sweeper does; that composes all twice."""
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
        for batch in BasicSweeper.split_arguments(parser.parse_overrides(overrides), max_batch_size=None):
            for point in batch:
                composed = [*point, "hydra.mode=MULTIRUN"]
                yield point, hydra.compose(config_name, composed, return_hydra_config=True)
