"""What can be refused before any data is read, by building everything else once; the configuration alone was judged before."""

import os
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from omegaconf import DictConfig
from torch import nn

from litconv import build
from litconv.build.network import Model
from litconv.config.checks import check_libraries
from litconv.config.composed import declared, select
from litconv.config.environment import cores, is_checked
from litconv.config.front import spelled
from litconv.config.slurm_step import Step
from litconv.conv.slot import MayBeUnordered
from litconv.data.problem import UNKNOWN_CLASSES
from litconv.errors import ConfigError
from litconv.foreign import weights
from litconv.run.asked import Asked
from litconv.run.starting_points import teacher_of, weights_of

if TYPE_CHECKING:  # importing Lightning takes seconds, which a network that cannot be built need not wait for
    from pytorch_lightning import Trainer

    from litconv.data.module import DataModule


class Parts(NamedTuple):
    data: "DataModule"  # nothing is read yet
    trainer: "Trainer"  # with its callbacks, without a logger


def parts(asked: Asked) -> Parts:
    """What a run is made of besides its network; unless another process did, everything is checked on the way."""
    config, checked = asked.config, is_checked()
    network = None if checked or select(config, "match") else early_network(config)
    if not checked:
        check_libraries(config)
    data = build.data(config)
    trainer = build.trainer(config, build.callbacks(config, asked.folder))
    if not checked:
        check(asked, Parts(data, trainer), network)
    return Parts(data, trainer)


def early_network(config: DictConfig) -> Model:
    """On the meta device, before anything that takes longer is imported: what operators, backbone and head refuse."""
    in_channels = config.data.get(
        "in_channels", declared(config.data).constants["in_channels"]
    )  # where it is an option
    return build.on_meta(config, in_channels, UNKNOWN_CLASSES)


def check(asked: Asked, made: Parts, network: Model | None) -> None:
    """`network` is None under `match=`, which finds its channels."""
    from litconv.match import find_width
    from litconv.optim import check as check_optim
    from litconv.prepare.costs import latency_device

    config, problem, device = asked.config, made.data.problem, made.trainer.strategy.root_device
    start, _ = weights_of(asked), teacher_of(asked)
    check_optim(build.part(config.optim), build.part(config.schedule))
    check_trainer(config, made.trainer)
    build.check_loggers(config)
    latency_device(config, device)
    if network is None:
        if not problem.classes_known:  # they are in the data, which is not there: reading it says so
            return
        width = find_width(asked, problem, device)
        network = build.on_meta(width.config, problem.in_channels, problem.num_classes)
    if start is not None:
        weights.fitting(network, start, f"init_from={config.init_from}")
    check_size(network, problem.image_size)
    check_memory(network, device)
    check_determinism(config, network, device)
    names = [str(number) for number in range(problem.num_classes)]
    build.class_weights_of(config.task)
    facts = {"ignore_index": -100, "class_names": names, "class_weights": None}  # the set's classes are not known yet
    build.task_around(network, config, problem.num_classes, facts)
    check_effects(asked, network)


def check_size(network: Model, image_size: tuple[int, int]) -> None:
    stride = max(network.backbone.strides)
    if min(image_size) < stride:
        height, width = image_size
        largest = 1 << (min(image_size).bit_length() - 1)
        raise ConfigError(
            f"data.image_size={height}x{width} is smaller than the backbone's stride of {stride}, which leaves less "
            f"than one value of it; use at least {stride}, or backbone.output_stride={largest}"
        )


def check_memory(network: nn.Module, device: torch.device) -> None:
    """Refuse a network whose weights alone do not fit: the kernel would kill the run without a word."""
    copies, there = (2 if device.type == "cpu" else 1), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    params, needed = 0, 0
    for parameter in network.parameters():
        params, needed = params + parameter.numel(), needed + parameter.nbytes
    if copies * needed > there:
        what = "weights and gradients" if copies == 2 else "weights"
        raise ConfigError(
            f"the network has {params:,} params: their {what} take {copies * needed / 2**30:.0f} GB, and this machine has "
            f"{there / 2**30:.0f} GB of memory; use a smaller width or backbone"
        )


def check_determinism(config: DictConfig, network: nn.Module, device: torch.device) -> None:
    """Refuse what trainer.deterministic=true would end with a traceback at the first step, or could not hold."""
    if config.trainer.get("deterministic") is not True:
        return
    for module in network.modules():
        if isinstance(module, MayBeUnordered) and (why := module.unordered_on(device)):
            raise ConfigError(f"trainer.deterministic=true: {why}")
    if config.trainer.get("benchmark") and device.type == "cuda":
        raise ConfigError(
            "trainer.deterministic=true with trainer.benchmark=true: cuDNN chooses its algorithms by their speed in each run, "
            "so that equal runs differ; set trainer.benchmark=false"
        )


def check_effects(asked: Asked, network: Model) -> None:
    """Refuse a group that the command line gives and of which the network holds nothing."""
    groups = {
        "conv": "every stage has an operator of its own",
        "upsample": f"head={asked.choices['head']} has nothing to enlarge here",
    }
    for group, why in groups.items():
        is_given = any(o.lstrip("+").partition("=")[0].partition(".")[0] == group for o in asked.overrides)
        operator = build.target(asked.config[group])
        held = getattr(network.backbone, "swapped", None)
        is_there = any(type(module) is operator for module in network.modules()) or (
            held and operator in held.operators
        )
        if is_given and not asked.in_sweep and not is_there:
            raise ConfigError(f"{group}={asked.choices[group]} has no effect: {why}; remove it")


def check_trainer(config: DictConfig, trainer: Any) -> None:
    from litconv.callbacks import compilation
    from litconv.device import check_precision
    from litconv.run.naming import precision

    device = trainer.strategy.root_device
    if step := Step.of_run(config.trainer):
        step.check(trainer.num_devices, trainer.num_nodes)
    elif trainer.num_nodes > 1 and not any(name in os.environ for name in ("MASTER_ADDR", "LSB_JOBID")):
        raise ConfigError(
            f"trainer.num_nodes={trainer.num_nodes} would wait for processes on other machines, which nothing starts here; "
            "srun or torchrun does"
        )
    if device.type == "cpu" and trainer.num_devices > (most := max(8, cores())):
        raise ConfigError(
            f"trainer.devices={config.trainer.devices} starts {trainer.num_devices} processes, each on a CPU of this machine, "
            f"which has {cores()}; use {most} or fewer"
        )
    if config.diagnostics and trainer.world_size > 1:
        raise ConfigError(
            f"diagnostics=true with trainer.devices={config.trainer.devices}: it runs in one process; leave it out, and use "
            f"{' '.join(spelled('diagnose'))} when the run has ended"
        )
    check_precision(precision({"trainer": config.trainer}), trainer.precision, device)
    if config.compile.enabled:
        compilation.require(device, config.compile.mode)
    if trainer.max_epochs == -1 and trainer.max_steps == -1:
        raise ConfigError(
            "trainer.max_epochs=-1 without trainer.max_steps: the learning rate's schedule needs the number of steps; set one "
            "of them (trainer.max_time may end the training before)"
        )
    if trainer.max_epochs not in (None, -1) and trainer.max_epochs < (trainer.check_val_every_n_epoch or 1):
        raise ConfigError(
            f"trainer.max_epochs={trainer.max_epochs} ends before the first validation "
            f"(trainer.check_val_every_n_epoch={trainer.check_val_every_n_epoch}); set epochs to that or more"
        )
    for limit in ("limit_train_batches", "limit_val_batches", "limit_test_batches"):
        if getattr(trainer, limit) == 0 or trainer.fast_dev_run:
            name = "fast_dev_run" if trainer.fast_dev_run else limit
            raise ConfigError(
                f"trainer.{name}={getattr(trainer, name)} leaves nothing to train, to choose a checkpoint by, or to test; "
                "for a quick look use trainer=debug"
            )
