"""From a configuration to objects: data, model, task, trainer. Torch and Lightning are imported from here on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from litconv.config import targets
from litconv.config.composed import STAGES, allowed_packages, choices, declared, hydra_state, key_of, takes
from litconv.errors import ConfigError, DataError
from litconv.run.naming import precision


def target(node: DictConfig) -> Callable:
    return targets.resolve(node["_target_"], allowed_packages(node), key_of(node))


@contextmanager
def as_config_error(key: str = "") -> Iterator[None]:
    """What a constructor says of its arguments is for the user; `key` is where they stand."""
    try:
        yield
    except (DataError, ConfigError):
        raise
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, DataError | ConfigError):
            raise cause from error
        raise _for_user(cause or error, key) from error
    except Exception as error:
        of_user = isinstance(error, ValueError | TypeError | ArithmeticError | ImportError)
        if not _of_lightning(error) and not of_user:
            raise
        raise _for_user(error, key) from error


@contextmanager
def as_trainer_error(what: str) -> Iterator[None]:
    """The same for a trainer that is not built from a configuration; `what` is the key to change."""
    try:
        with as_config_error():
            yield
    except ConfigError as error:
        raise ConfigError(f"{what}: {str(error).removeprefix('trainer: ')}") from error


def _of_lightning(error: BaseException) -> bool:
    return type(error).__name__ == "MisconfigurationException"  # by name: importing it takes seconds


def _for_user(error: BaseException, key: str) -> ConfigError:
    where = "trainer" if _of_lightning(error) else key if isinstance(error, TypeError) else ""
    return ConfigError(f"{where}: {error}" if where else str(error))


def part(node: DictConfig, **more: Any) -> Any:
    """The object that a group describes; `more` are arguments that are objects themselves."""
    targets.check_nested(OmegaConf.to_container(node, resolve=True), allowed_packages(node), key_of(node))
    with as_config_error(key_of(node)):
        if node.get("_partial_"):
            return instantiate(node, _convert_="all")
        return instantiate(node, _partial_=True, _convert_="all")(**more)


def loggers(config: DictConfig) -> dict[str, Callable[..., Any]]:
    """Under the name of each logger its class, with the options of its yaml bound; none of them starts."""
    made = {}
    for name, node in config.logger.items():
        targets.check_nested(OmegaConf.to_container(node, resolve=True), allowed_packages(node), f"logger.{name}")
        made[name] = instantiate(node, _partial_=True, _convert_="all")
    return made


def data(config: DictConfig) -> Any:
    """The DataModule; nothing is read yet."""
    name, possible = (declared(config[group]).constants[key] for group, key in (("task", "name"), ("data", "tasks")))
    if name not in possible:
        chosen = choices(config)
        raise ConfigError(
            f"task={chosen.get('task')} needs {'masks' if name == 'segmentation' else 'labels'}, and "
            f"data={chosen.get('data')} is for {' and '.join(sorted(possible))} only; choose another data or task"
        )
    return part(config.data, **({"task": name} if takes(config.data, "task") else {}))


def assemble(config: DictConfig, in_channels: int, num_classes: int) -> Any:
    from litconv.build.network import Model

    conv = part(config.conv)
    stages = {n: part(node) for n in STAGES if (node := config.get(f"conv_stage{n}")) is not None}
    backbone = part(config.backbone, conv=conv, in_channels=in_channels, stage_convs=stages)
    slots = {"conv": conv} if takes(config.head, "conv") else {}
    if takes(config.head, "upsample"):
        slots["upsample"] = part(config.upsample)
    head = part(config.head, channels=backbone.channels, strides=backbone.strides, num_classes=num_classes, **slots)
    return Model(backbone, head)


def operators(config: DictConfig) -> list[Callable]:
    """The one of `conv=` and those of single stages, with their options bound."""
    return [
        part(node) for key in ("conv", *(f"conv_stage{n}" for n in STAGES)) if (node := config.get(key)) is not None
    ]


def memory_format(config: DictConfig) -> Any:
    """Of `auto`, where nothing is measured, channels_last."""
    return torch.contiguous_format if config.memory_format == "contiguous" else torch.channels_last


def model(config: DictConfig, in_channels: int, num_classes: int) -> Any:
    """Backbone and head, initialised from the seed, in the memory format that the configuration asks for."""
    from litconv.build.weights import initialise

    built = assemble(config, in_channels, num_classes)
    initialise(built, config.seed)
    return built.to(memory_format=memory_format(config))


def task(config: DictConfig, dataset: Any) -> Any:
    """The LightningModule around a fresh model, for a data set that has been set up."""
    facts = {"ignore_index": dataset.ignore_index, "class_names": list(dataset.class_names)}
    return task_around(model(config, dataset.in_channels, dataset.num_classes), config, dataset.num_classes, facts)


def task_around(built: Any, config: DictConfig, num_classes: int, facts: dict[str, Any]) -> Any:
    return part(
        config.task,
        model=built,
        num_classes=num_classes,
        optim=part(config.optim),
        schedule=part(config.schedule),
        seed=config.seed,
        **{name: fact for name, fact in facts.items() if takes(config.task, name)},
    )


def trainer(config: DictConfig, **parts: Any) -> Any:
    from litconv.no_profiler import NoProfiler

    if config.trainer.get("profiler") is None:
        parts["profiler"] = NoProfiler()
    try:
        return part(config.trainer, **parts)
    except ConfigError as error:
        elsewhere = "" if config.trainer.accelerator in ("auto", "cpu") else "; trainer=cpu runs on any machine"
        reason = str(error).removeprefix("trainer: ")
        named = [f"trainer.{key}={value}" for key, value in config.trainer.items() if f"`{key}`" in reason]
        where = ", ".join([f"trainer={choices(config)['trainer']}", *named])
        raise ConfigError(f"{where}: {reason}{elsewhere}") from error


def check_model(config: DictConfig) -> None:
    """What operators, backbone and head say of each other: `check_parts` asks it too, but Lightning's import takes seconds."""
    if config.get("match") is None:  # else its channels are still to be found
        with torch.device("meta"):
            assemble(config, declared(config.data).constants["in_channels"], num_classes=10)


def check_parts(config: DictConfig, dataset: Any, num_classes: int = 10) -> None:
    """Build everything but the data once, without memory, so that a fault of the configuration comes before any data."""
    from litconv.prepare import costs as cost
    from litconv.build.network import check_size
    from litconv.optim import check as check_optim

    check_optim(part(config.optim), part(config.schedule))
    check_trainer(config)
    check_loggers(config)
    cost.device(config)
    with torch.device("meta"):
        built = assemble(config, dataset.in_channels, num_classes)
        check_size(built, dataset.image_size)
        facts = {"ignore_index": -100, "class_names": [str(number) for number in range(num_classes)]}
        task_around(built, config, num_classes, facts)
    check_effects(config, built)


def check_effects(config: DictConfig, built: Any) -> None:
    """Refuse a group that was given and of which the model holds nothing."""
    overrides, chosen, multirun = hydra_state(config)
    for group, why in {
        "conv": "every stage has an operator of its own",
        "upsample": f"head={chosen['head']} has nothing to enlarge here",
    }.items():
        given = any(o.lstrip("+").partition("=")[0].partition(".")[0] == group for o in overrides)
        if given and not multirun and not any(type(m) is target(config[group]) for m in built.modules()):
            raise ConfigError(f"{group}={chosen[group]} has no effect: {why}; remove it")


def check_loggers(config: DictConfig) -> None:
    from litconv.loggers.run_logger import RunLogger

    for name, node in config.logger.items():
        logger = target(node)
        if not (isinstance(logger, type) and issubclass(logger, RunLogger)):
            raise ConfigError(
                f"logger.{name}._target_={node._target_} is no logger; name a class with the methods "
                "metrics, table, image and finish (litconv.loggers.run_logger)"
            )


def check_trainer(config: DictConfig) -> None:
    from pytorch_lightning import Callback

    from litconv.callbacks import compilation as compiling
    from litconv.device import check as check_precision

    for name, node in (config.callbacks.get("extra") or {}).items():
        found = target(node)
        if not (isinstance(found, type) and issubclass(found, Callback)):
            key = f"callbacks.extra.{name}._target_={node._target_}"
            raise ConfigError(f"{key} is no Callback of Lightning; name a class that is one")
    built = trainer(config, logger=False, callbacks=[])
    device = built.strategy.root_device
    check_precision(precision({"trainer": config.trainer}), built.precision, device)
    if config.compile.enabled:
        compiling.require(device, config.compile.mode)
    if built.max_epochs is not None and built.max_epochs < (built.check_val_every_n_epoch or 1):
        raise ConfigError(
            f"trainer.max_epochs={built.max_epochs} ends before the first validation "
            f"(trainer.check_val_every_n_epoch={built.check_val_every_n_epoch}); set epochs to that or more"
        )
    for limit in ("limit_train_batches", "limit_val_batches", "limit_test_batches"):
        if getattr(built, limit) == 0 or built.fast_dev_run:
            name = "fast_dev_run" if built.fast_dev_run else limit
            raise ConfigError(
                f"trainer.{name}={getattr(built, name)} leaves nothing to train, to choose a checkpoint by, or to test; "
                "for a quick look use trainer=debug"
            )
