"""From runs to a verdict: python scripts/compare.py sweep=NAME

Reads every run of the sweep and writes tables, figures and a page into outputs/compare/NAME/.
"""

import gc
import os
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read with NumPy; a second thread of its small products only waits

import hydra
from omegaconf import DictConfig

from litconv.compare.arguments import check, check_extras, table_columns
from litconv.config import composed as configuration
from litconv.config.command_line import command_line, guarded
from litconv.config.front import spelled
from litconv.cost.device_csv import device_tables


@hydra.main(version_base="1.3", config_path=str(configuration.CONF), config_name="compare")
@guarded
def main(config: DictConfig) -> None:
    gc.set_threshold(
        100_000, 50, 100
    )  # a seventh of the time would go into looking through what imports and runs leave
    given = check(configuration.raw(config))
    check_extras(configuration.raw(config))
    columns = table_columns(configuration.raw(config)["columns"])
    devices = device_tables(configuration.raw(config)["device"])
    allowed = configuration.allowed_packages(config)
    from litconv.compare import analyse, load
    from litconv.compare.deployed.devices import on_devices
    from litconv.compare.report import write_report
    from litconv.compare.verdict import verdict
    from litconv.compare.wandb_run import log_comparison

    runs = on_devices(load(given.folders), devices)
    result = analyse(runs, given.name, given.question)
    command = [*spelled("compare"), *sys.argv[1:]]
    result = write_report(result, runs, given.out, command, config.samples, columns, allowed)
    print(verdict(result).text())
    for note in result.notes:
        print(f"note: {note}")
    if result.problems:
        print(f"left out: {len(result.problems)} runs or figures, listed in the page")
    log_comparison(result, given.out, config.wandb)
    print(given.out / "index.html")


if __name__ == "__main__":
    sys.exit(command_line(main, "compare"))
