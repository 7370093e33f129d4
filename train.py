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

from litconv.config import checks, composed
from litconv.config.command_line import command_line, guarded, is_checked, quiet


@hydra.main(version_base="1.3", config_path=str(composed.CONF), config_name="train")
@guarded
def main(config: DictConfig) -> tuple[float, float] | None:
    quiet()
    if not is_checked():
        checks.check(config)

    from litconv.prepare.checks import parts  # torch from here on
    from litconv.run.asked import Asked

    asked = Asked.of(config)
    data, trainer = parts(asked)

    from litconv.fit import training
    from litconv.prepare.reading import read
    from litconv.prepare.settling import settle
    from litconv.run.folder import RunFolder
    from litconv.run.state import read_summary
    from litconv.run.summary import facts, objectives, table

    with RunFolder(asked.folder, facts(asked)) as folder:
        if not folder.is_wanted(asked):
            return objectives(read_summary(folder.path))
        checkpoint = folder.open(asked.config_yaml(config))
        read(asked, data, trainer)
        task, layers = settle(asked, data, trainer.strategy.root_device, folder)
        start_logger(asked, trainer, folder, layers)
        training.fit(trainer, task, data, checkpoint, folder)
        training.test(trainer, task, data, folder)

    if trainer.is_global_zero:
        print(f"{folder.path}\n{table(folder.summary)}")
    return objectives(folder.summary)


def start_logger(asked, trainer, folder, layers):
    from litconv import build
    from litconv.cost import Layer
    from litconv.loggers import finish_wandb, log_table

    logger = build.part(asked.config.logger)(
        folder.path,
        name=asked.name,
        group=asked.config.sweep or "runs",
        job_type="train",
        tags=asked.labels,
        config={**asked.settings, "choices": asked.choices, "arm_hash": asked.arm_hash},
    )
    folder.at_end.append(lambda code, facts: finish_wandb(logger, code, facts))
    log_table(logger, "cost/layers", Layer.columns(), [layer.row() for layer in layers])
    trainer.logger = logger


if __name__ == "__main__":
    sys.exit(command_line(main, checks.keys))
