"""A finished run's checkpoint on a split: python scripts/evaluate.py run=outputs/runs/NAME split=val

Rebuilds data and model from the run's config.yaml, so that the figures are those that the run itself reported. Packages
of your own that your own run named need not be named again.
"""

import sys
from typing import Any

import hydra
from omegaconf import DictConfig

from litconv.config import composed as configuration
from litconv.config.command_line import command_line, guarded
from litconv.errors import ConfigError
from litconv.run.finished import opened


@hydra.main(version_base="1.3", config_path=str(configuration.CONF), config_name="evaluate")
@guarded
def main(arguments: DictConfig) -> None:
    split = arguments.split
    if arguments.run and split not in ("val", "test"):
        raise ConfigError(f"split={split} must be val or test")
    run = opened(arguments.run, arguments.checkpoint, arguments.allowed_packages, "evaluate")
    config, checkpoint = run.config, run.checkpoint

    from litconv import build
    from litconv import device as precision
    from litconv.build.testing import tester
    from litconv.fit import training
    from litconv.prepare.threads import computing_with
    from litconv.run.checkpoints import load_into, read
    from litconv.run.data_again import moved_to, read_again

    weights = read(checkpoint)
    with build.as_trainer_error(f"accelerator={arguments.accelerator}"):
        trainer = tester(arguments.accelerator, config.trainer.get("precision", "32-true"))
    precision.set_matmul_precision(config.get("matmul_precision", "default"))
    data = read_again(config, moved_to(arguments))
    if split != data.test_split and split == "test":
        raise ConfigError(f"split=test: data={config.choices.data} has no test split; use split=val")
    task = build.task(config, data)
    load_into(task, weights, checkpoint)
    metrics: dict[str, Any]
    with training.in_one_line(), computing_with(config.get("threads", "auto")):
        (metrics,) = (trainer.test if split == "test" else trainer.validate)(task, data, verbose=False)
    print(f"{checkpoint} on {split} ({data.sizes[split]} images)")
    for key, value in metrics.items():
        print(f"  {key:<24} {value:.4f}")


if __name__ == "__main__":
    sys.exit(command_line(main, "evaluate"))
