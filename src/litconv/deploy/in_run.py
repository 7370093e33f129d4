"""`deploy=onnxruntime,openvino`: a run's last step."""

import logging

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_only

from litconv.config.front import spelled
from litconv.data.module import DataModule
from litconv.deploy.run import deployed
from litconv.errors import DataError, ExportError
from litconv.files import of_full_disk
from litconv.prepare.deployed import Bench, Deploying
from litconv.run.asked import Asked
from litconv.run.folder import RunFolder
from litconv.tasks.base import Task

log = logging.getLogger(__name__)


def deploy_if_asked(asked: Asked, trainer: pl.Trainer, task: Task, data: DataModule, folder: RunFolder) -> None:
    """`task` has the weights that were tested. The figures stand in summary.json, for loggers, and in deployed.json,
    with how they were measured. What cannot be deployed is a warning: it is trained."""
    node = asked.config.deploy
    if not node.runtimes or rank_zero_only.rank != 0:
        return
    if trainer.world_size > 1:
        command = " ".join([*spelled("deploy"), f"run={folder.path}"])
        log.warning("deploy: not measured in a training of %d processes; afterwards: %s", trainer.world_size, command)
        return
    with Bench(Deploying.of(list(node.runtimes), node)) as bench:
        try:
            record = deployed(bench, asked.config, task, data, asked.name, folder.best)
        except (ExportError, DataError) as error:
            if of_full_disk(error):
                raise  # the same command makes up for it
            log.warning("deploy: %s", error)
            folder.record({"warnings": [*folder.summary.get("warnings", []), f"deploy: {error}"]})
            return
    record.write(folder.path)
    folder.record(record.figures)
