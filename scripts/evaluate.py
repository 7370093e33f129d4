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
from litconv.errors import ConfigError, DataError
from litconv.files import local
from litconv.run import own_runs


@hydra.main(version_base="1.3", config_path=str(configuration.CONF), config_name="evaluate")
@guarded
def main(arguments: DictConfig) -> None:
    folder, split = local(arguments.run or "", "run"), arguments.split
    if not arguments.run:
        raise ConfigError("run is missing: the folder of the run to evaluate, such as run=outputs/runs/NAME")
    if not (folder / "config.yaml").exists():
        raise ConfigError(f"run={arguments.run} is not a run's folder; give one, such as run=outputs/runs/NAME")
    if split not in ("val", "test"):
        raise ConfigError(f"split={split} must be val or test")
    if not isinstance(arguments.checkpoint, str) or "/" in arguments.checkpoint:
        raise ConfigError(
            f"checkpoint={arguments.checkpoint} must be the name of one in the run's folder: best or last"
        )
    checkpoint = folder / "checkpoints" / f"{arguments.checkpoint}.ckpt"
    if not checkpoint.exists():
        there = ", ".join(sorted(p.stem for p in checkpoint.parent.glob("*.ckpt"))) or "none"
        raise ConfigError(f"checkpoint={arguments.checkpoint} is not in {folder}; there: {there}")
    written = folder / "config.yaml"
    config = configuration.load_run(written, [*arguments.allowed_packages, *own_runs.packages_of(written)])

    import pytorch_lightning as pl

    from litconv import build
    from litconv import device as precision
    from litconv.fit import training
    from litconv.prepare.threads import computing_with
    from litconv.run.checkpoints import load_into, read

    weights = read(checkpoint)
    with build.as_trainer_error(f"accelerator={arguments.accelerator}"):
        trainer = pl.Trainer(
            accelerator=arguments.accelerator,
            devices=1,
            precision=config.trainer.get("precision", "32-true"),
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
    precision.set_matmul_precision(config.get("matmul_precision", "default"))
    if arguments.data_root is not None:
        if "root" not in config.data:
            raise ConfigError(
                f"data_root={arguments.data_root} has no effect: data={config.choices.data} reads no files"
            )
        config.data.root = arguments.data_root
    try:
        data = build.data(config)
    except DataError as error:
        raise DataError(f"{error}; if the data were moved since the run, add data_root=… to this command") from error
    data.prepare_data()
    data.setup("test")
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
