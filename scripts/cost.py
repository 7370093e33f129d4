"""What models cost, without training them: python scripts/cost.py -m 'conv=glob(*)' backbone=resnet,wide_resnet

One table of all points, with ratios to the same model of standard convolutions.
"""

import sys
from collections.abc import Iterable

import hydra
from omegaconf import DictConfig

from litconv.config import checks, grid
from litconv.config import composed as configuration
from litconv.config.command_line import command_line, guarded
from litconv.config.keep_going import keep_going
from litconv.config.quiet import quiet


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
    from litconv.cost.device_csv import device_tables
    from litconv.prepare.points import survey
    from litconv.prepare.table import CostTable
    from litconv.prepare.threads import computing_with

    surveyed, table = [], None
    with keep_going() as attempt:
        for overrides, config in points:
            if table is None:  # before anything is counted
                devices = device_tables(configuration.raw(config)["device"])
                deployed = [key for one in devices for key in one.measured]
                table = CostTable(config.out, config.sort, config.per_layer, deployed)
            with attempt(overrides):
                checks.check(config)
                checks.check_libraries(config)
                with computing_with(config.threads):
                    surveyed.append(survey(config, devices))
        if surveyed:
            table.show(surveyed)


if __name__ == "__main__":
    sys.exit(command_line(main, "cost"))
