"""One run: python train.py conv=grouped groups=4. A sweep: python train.py -m conv=standard,grouped."""

import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig, OmegaConf

from litconv import checks
from litconv import config as configuration
from litconv.cli import command_line, guarded, quiet


@hydra.main(version_base="1.3", config_path=str(configuration.CONF), config_name="train")
@guarded
def main(config: DictConfig) -> None:
    # check: what needs no torch first, then everything that can be built without data
    checks.check(config)

    quiet()
    import pytorch_lightning as pl

    from litconv import cost, summary
    from litconv.loggers import finish_wandb, log_table
    from litconv.naming import run_name
    from litconv.run_folder import RunFolder

    data = configuration.build_data(config)
    configuration.check_parts(config, data)

    settings = configuration.plain(config)
    choices = configuration.choices(config)
    name = run_name(settings, choices)
    where = Path(config.output_dir, *(["sweeps", str(config.sweep)] if config.sweep else ["runs"]), name)

    with RunFolder(where, summary.facts(settings, choices, name)) as folder:
        if config.sweep and folder.previous_status == "completed":
            print(f"{name}: completed before in this sweep (an equal point, or an earlier launch); not trained again")
            return
        checkpoint = folder.open(OmegaConf.to_yaml(OmegaConf.create({**settings, "choices": choices})))

        # build: the data first, since its faults must come before a logger starts and before the first step
        pl.seed_everything(config.seed, workers=True, verbose=False)
        data.prepare_data()
        data.setup("fit")
        task = configuration.build_task(config, data)

        # cost
        counted = cost.counted(config, task.model, data)
        folder.summary |= counted.summary() | cost.measured(config, task.model, data, data.num_classes)

        # fit
        logger = configuration.part(config.logger)(
            folder.path,
            name=name,
            group=config.sweep or "runs",
            job_type="train",
            tags=[choices["task"], choices["data"], choices["backbone"], choices["conv"]],
            config={**settings, "choices": choices, "arm_hash": folder.summary["arm_hash"]},
        )
        folder.at_end.append(lambda code, facts: finish_wandb(logger, code, facts))
        log_table(logger, "cost/layers", cost.Layer.columns(), [layer.row() for layer in counted.layers])
        callbacks = configuration.part(config.callbacks)(folder.path, task.monitor, task.mode)
        trainer = configuration.build_trainer(config, logger=logger or False, callbacks=callbacks)
        folder.summary |= summary.implementations(task.model, trainer.strategy.root_device)
        trainer.fit(task, data, ckpt_path=checkpoint, weights_only=True)

        # test: the checkpoint that validation chose; its figures go to the summary, not to the history of the training
        trainer.logger = None
        folder.summary |= trainer.validate(task, data, ckpt_path=folder.best, weights_only=True, verbose=False)[0]
        folder.summary |= trainer.test(task, data, ckpt_path=folder.best, weights_only=True, verbose=False)[0]
        folder.summary |= {"test/split": data.test_split, **summary.training(trainer)}

    if trainer.is_global_zero:
        print(f"{folder.path}\n{summary.table(folder.summary)}")


if __name__ == "__main__":
    sys.exit(command_line(main, checks.keys))
