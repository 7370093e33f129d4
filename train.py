"""One run: python train.py conv=grouped groups=4. A sweep: python train.py -m conv=standard,grouped."""

if __name__ == "__main__":  # Ctrl-C during the imports ends the process without a traceback; a run catches it itself
    import signal
    import sys

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if {"-m", "--multirun"} & set(sys.argv):
        from litconv.sweep import server

        server.start_early(sys.argv[1:])

import sys

import hydra
from omegaconf import DictConfig

from litconv.config import checks
from litconv.config import composed as configuration
from litconv.config.command_line import command_line, guarded, is_checked, quiet


@hydra.main(version_base="1.3", config_path=str(configuration.CONF), config_name="train")
@guarded
def main(config: DictConfig) -> tuple[float, float] | None:
    quiet()

    # check: the configuration first, then everything that can be built without data; each imports more than the one before
    if not is_checked():
        checks.check(config)

    from litconv import build

    if not is_checked():
        build.check_model(config)

    import pytorch_lightning as pl

    from litconv import device as precision
    from litconv import match
    from litconv.callbacks import compilation as compiling
    from litconv.cost import Layer
    from litconv.fit import training
    from litconv.loggers.together import Loggers
    from litconv.prepare import costs
    from litconv.prepare import layout as layouts
    from litconv.run import summary
    from litconv.run.folder import RunFolder
    from litconv.run.naming import run_folder, run_name
    from litconv.run.state import is_wanted, read_summary
    from litconv.run.summary import objectives

    data = build.data(config)
    if not is_checked():
        build.check_parts(match.matched(config, data).config, data)

    settings = configuration.plain(config)
    overrides, choices, _ = configuration.hydra_state(config)
    name = run_name(settings, choices)

    with RunFolder(run_folder(settings, name), summary.facts(settings, choices, name, overrides)) as folder:
        if config.sweep and not is_wanted(folder.previous_status, config.rerun):
            print(f"{name}: {folder.previous_status} before in this sweep; not trained again")
            return objectives(read_summary(folder.path))
        checkpoint = folder.open(configuration.as_yaml(settings, choices))

        # build: the data first, since its faults must come before a logger starts and before the first step
        pl.seed_everything(config.seed, workers=True, verbose=False)
        precision.set_matmul_precision(config.matmul_precision)
        data.prepare_data()
        data.setup("fit")
        watched = configuration.declared(config.task).constants
        callbacks = build.part(config.callbacks)(folder.path, watched["monitor"], watched["mode"])
        if config.compile.enabled:
            callbacks.append(compiling.Compilation(config.compile.mode))
        trainer = build.trainer(config, logger=False, callbacks=callbacks)
        training.check_amounts(trainer, data)
        equal = match.matched(config, data, data.num_classes)
        equal.announce()
        layout = layouts.settled(equal.config, data, data.num_classes)
        folder.summary |= layout.facts
        trained = layout.of(equal.config)
        if trained is not config:
            folder.write_config(configuration.as_yaml(configuration.plain(trained), choices))
        task = build.task(trained, data)

        # cost
        counted = costs.counted_once(folder.summary["arm_hash"], config, task.model, data)
        folder.summary |= counted.summary() | equal.summary(counted)
        folder.summary |= costs.measured(config, task.model, data, data.num_classes, layout.name)

        # fit
        logger = Loggers(build.loggers(config))
        folder.at_end.append(logger.finish)
        logger.start(
            folder.path,
            name=name,
            group=config.sweep or "runs",
            job_type="train",
            tags=[choices["task"], choices["data"], choices["backbone"], choices["conv"]],
            config={**settings, "choices": choices, "arm_hash": folder.summary["arm_hash"]},
        )
        logger.table("cost/layers", Layer.columns(), [layer.row() for layer in counted.layers])
        trainer.logger = logger
        folder.summary |= summary.implementations(task.model, trainer.strategy.root_device)
        training.fit(trainer, task, data, checkpoint)

        # test: the checkpoint that validation chose
        folder.summary |= training.test(trainer, task, data, folder.best)
        folder.summary |= {"test/split": data.test_split, **summary.training(trainer)}

    if trainer.is_global_zero:
        print(f"{folder.path}\n{summary.table(folder.summary)}")
    return objectives(folder.summary)


if __name__ == "__main__":
    sys.exit(command_line(main, checks.keys))
