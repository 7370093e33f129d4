"""From a configuration to objects: network, data, task, trainer, device. Torch is imported from here on."""

from litconv.build.network import assemble, memory_format, model, on_meta, operators
from litconv.build.objects import as_config_error, as_trainer_error, part, target
from litconv.build.training import (
    callbacks,
    check_loggers,
    class_weights_of,
    data,
    device,
    loggers,
    task,
    task_around,
    trainer,
)

__all__ = [
    "as_config_error",
    "as_trainer_error",
    "assemble",
    "callbacks",
    "check_loggers",
    "class_weights_of",
    "data",
    "device",
    "loggers",
    "memory_format",
    "model",
    "on_meta",
    "operators",
    "part",
    "target",
    "task",
    "task_around",
    "trainer",
]
