"""What models cost, without training them: python scripts/cost.py -m 'conv=glob(*)' backbone=resnet,wide_resnet

One table of all points, with ratios to the same model of standard convolutions.
"""

import sys
from collections.abc import Iterable

import hydra
from omegaconf import DictConfig

from litconv import checks, grid
from litconv import config as configuration
from litconv.cli import command_line, guarded, keep_going, quiet


@hydra.main(version_base="1.3", config_path=str(configuration.CONF), config_name="cost")
@guarded
def one(config: DictConfig) -> None:
    tabulate([([], config)])


def main() -> None:
    if "-m" in sys.argv[1:]:
        tabulate(grid.points([a for a in sys.argv[1:] if a != "-m"], "cost"))
    else:
        one()


def tabulate(points: Iterable[tuple[list[str], DictConfig]]) -> None:
    quiet()
    from litconv.cost.survey import survey
    from litconv.cost.table import Report
    from litconv.match import matched

    found, report = [], None
    for overrides, config in points:
        if report is None:  # before anything is counted
            report = Report(config.out, config.sort, config.per_layer)
        with keep_going(overrides):
            checks.check(config)
            found.append(survey(config, matched))
    if found:
        report.show(found)


if __name__ == "__main__":
    sys.exit(command_line(main, lambda: checks.keys("cost"), "cost"))
