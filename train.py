"""One run: python train.py conv=grouped groups=4. A sweep: python train.py -m conv=standard,grouped."""

import sys

from litconv.sweep.server import before_the_imports

if __name__ == "__main__":
    before_the_imports(sys.argv[1:])

import hydra
from omegaconf import DictConfig

from litconv.config.checks import check
from litconv.config.command_line import command_line, guarded
from litconv.config.composed import CONF
from litconv.config.environment import is_checked
from litconv.run.asked import Asked


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="train")
@guarded
def main(config: DictConfig) -> tuple[float, float] | None:
    if not is_checked():
        check(config)
    asked = Asked.of(config)
    from litconv.prepare.checks import parts  # torch from here on

    data, trainer = parts(asked)
    from litconv.deploy.in_run import deploy_if_asked
    from litconv.fit.training import diagnose_if_asked, fit, test  # and Lightning
    from litconv.prepare.loggers import start_loggers
    from litconv.prepare.reading import read
    from litconv.prepare.settling import settle
    from litconv.prepare.threads import computing_with
    from litconv.run.folder import RunFolder
    from litconv.run.summary import facts

    with RunFolder(asked.folder, facts(asked)) as folder, computing_with(config.threads):
        if folder.is_wanted(asked):
            checkpoint = folder.open(asked.config_yaml(config))
            read(asked, data, trainer)
            task, layers = settle(asked, data, trainer.strategy.root_device, folder)
            loggers = trainer.logger = start_loggers(asked, folder, layers)
            fit(trainer, task, data, checkpoint)
            test(trainer, task, data, folder)
            diagnose_if_asked(asked, task, data, folder, loggers)
            deploy_if_asked(asked, trainer, task, data, folder)
    return folder.report(config.details)


if __name__ == "__main__":
    sys.exit(command_line(main))
