"""A batch that does not fit, the advice that a run ends with, and a run that takes the advice.

On a GPU this process may have 2 GiB; on a CPU the model itself says that it has no memory for more than 8 images.
"""

import re

import torch

from gpu_parts.commands import accelerator, images_of, network
from gpu_parts.part import Report, Setting
from litconv import build
from litconv.config import composed
from litconv.errors import TrainingError
from litconv.fit.out_of_memory import release
from litconv.fit.training import fit

GIB = 2**30
MOST_IMAGES = 8  # on a CPU


def run(setting: Setting, report: Report) -> None:
    data, _ = images_of(setting)
    batch = 64 if setting.quick else 4096
    if not setting.quick:
        torch.cuda.set_per_process_memory_fraction(2 * GIB / torch.cuda.get_device_properties(0).total_memory)
    said = failure(setting, [*data, *network(setting), f"data.batch_size={batch}"])
    advised = re.search(r"data\.batch_size=(\d+) would likely fit", said)
    report.check("a batch that does not fit is advised on", advised is not None, said or "it did fit")
    release()
    if advised:
        smaller = int(advised[1])
        said = failure(setting, [*data, *network(setting), f"data.batch_size={smaller}"])
        report.check("the batch that is advised fits", not said, said or f"{smaller} of {batch}")


def failure(setting: Setting, overrides: list[str]) -> str:
    """What a run of two steps says that ran out of memory; empty where it did not."""
    steps = ["+trainer.limit_train_batches=2", "+trainer.limit_val_batches=1", "epochs=1", "logger=csv"]
    config = composed.compose([*overrides, *steps, accelerator(setting)])
    images = build.data(config)
    images.setup("fit")
    task = build.task(config, images)
    if setting.quick:
        task.model.register_forward_pre_hook(refuse)
    try:
        fit(build.trainer(config, build.callbacks(config, setting.folder)), task, images, None)
    except TrainingError as error:
        return str(error)
    return ""


def refuse(model: torch.nn.Module, inputs: tuple[torch.Tensor]) -> None:
    if model.training and len(inputs[0]) > MOST_IMAGES:
        raise MemoryError
