"""What models cost, without training them: python scripts/cost.py -m 'conv=glob(*)' backbone=resnet,wide_resnet

One table of all points, with ratios to the same model of standard convolutions.
"""

import sys
from collections.abc import Iterable

import hydra
from omegaconf import DictConfig

from litconv.config import checks, grid
from litconv.config import composed as configuration
from litconv.config.command_line import command_line, guarded, keep_going, quiet


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
    from litconv.match import matched
    from litconv.prepare.costs import survey
    from litconv.prepare.table import Report

    found, report = [], None
    with keep_going() as attempt:
        for overrides, config in points:
            if report is None:  # before anything is counted
                report = Report(config.out, config.sort, config.per_layer)
            with attempt(overrides):
                checks.check(config)
                checks.check_libraries(config)
                found.append(survey(config, matched))
        if found:
            report.show(found)


if __name__ == "__main__":
    sys.exit(command_line(main, "cost"))
