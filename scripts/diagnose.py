"""What a finished run's network does inside: python scripts/diagnose.py run=outputs/runs/NAME

Rebuilds data and model from the run's config.yaml, watches its best checkpoint on the validation set, and writes into the
run's folder what `diagnostics=true` writes at the end of a run: diagnostics.csv, diagnostics/ and keys of summary.json. Where the
run was logged to wandb, table and pictures go there too, as a run of their own in its group.
"""

import sys

import hydra
from omegaconf import DictConfig

from litconv.config import composed as configuration
from litconv.config.command_line import command_line, guarded
from litconv.run.finished import opened


@hydra.main(version_base="1.3", config_path=str(configuration.CONF), config_name="diagnose")
@guarded
def main(arguments: DictConfig) -> None:
    run = opened(arguments.run, "best", arguments.allowed_packages, "diagnose")

    from litconv import build
    from litconv.device import device_named, set_matmul_precision
    from litconv.fit.diagnosing import diagnose_again
    from litconv.loggers.wandb import options_of
    from litconv.prepare.threads import computing_with
    from litconv.run.checkpoints import load_into, read
    from litconv.run.data_again import moved_to, read_again

    device = device_named(arguments.device, "device")
    set_matmul_precision(run.config.get("matmul_precision", "default"))
    weights = read(run.checkpoint)
    data = read_again(run.config, moved_to(arguments))
    task = build.task(run.config, data)
    load_into(task, weights, run.checkpoint)
    with computing_with(run.config.get("threads", "auto")):
        found = diagnose_again(task.to(device), data, run.folder, options_of(run.config.get("logger")))
    print(f"{run.checkpoint} on val ({data.sizes['val']} images)")
    for key, value in found.items():
        print(f"  {key:<32} {value:.4f}" if isinstance(value, float) else f"  {key:<32} {value}")


if __name__ == "__main__":
    sys.exit(command_line(main, "diagnose"))
