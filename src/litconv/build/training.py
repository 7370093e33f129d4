"""What trains a network: the data, the task around the model, and Lightning's Trainer with the callbacks of a run."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, ListConfig

from litconv.build.network import model
from litconv.build.objects import as_config_error, part, partial_of, target
from litconv.config.composed import choices, declared, takes
from litconv.config.watched import watched
from litconv.errors import ConfigError
from litconv.loggers.run_logger import RunLogger
from litconv.tasks import class_weights


def data(config: DictConfig) -> Any:
    """The DataModule; no image is read yet."""
    name, possible = (declared(config[group]).constants[key] for group, key in (("task", "name"), ("data", "tasks")))
    if name not in possible:
        chosen = choices(config)
        raise ConfigError(
            f"task={chosen.get('task')} needs {'masks' if name == 'segmentation' else 'labels'}, and "
            f"data={chosen.get('data')} is for {' and '.join(sorted(possible))} only; choose another data or task"
        )
    if name == "segmentation" and config.data.get("sampling", "uniform") != "uniform":
        raise ConfigError(
            f"data.sampling={config.data.sampling} needs a label for each image, and task={choices(config).get('task')} has "
            "masks; task.class_weights=balanced weighs their classes"
        )
    return part(config.data, **({"task": name} if takes(config.data, "task") else {}))


def task(config: DictConfig, dataset: Any) -> Any:
    """The LightningModule around a fresh model, for a data set that has been set up."""
    names, weights = list(dataset.class_names), class_weights_of(config.task)
    if weights == "balanced":
        weights = class_weights.balanced(dataset.class_counts(), names)
    facts = {"ignore_index": dataset.ignore_index, "class_names": names, "class_weights": weights}
    return task_around(model(config, dataset.in_channels, dataset.num_classes), config, dataset.num_classes, facts)


def class_weights_of(task: DictConfig) -> list[float] | str | None:
    """As they were asked for."""
    asked = task.get("class_weights")
    asked = list(asked) if isinstance(asked, ListConfig) else asked
    class_weights.check(asked)
    return asked


def task_around(network: torch.nn.Module, config: DictConfig, num_classes: int, facts: dict[str, Any]) -> Any:
    """`facts` of the data set are passed to a task that takes them."""
    return part(
        config.task,
        model=network,
        num_classes=num_classes,
        optim=part(config.optim),
        schedule=part(config.schedule),
        seed=config.seed,
        **{name: fact for name, fact in facts.items() if takes(config.task, name)},
    )


def callbacks(config: DictConfig, folder: Path) -> list[Any]:
    """Those of every run, the user's own and torch.compile's; they write into `folder`, once training starts."""
    from litconv.callbacks.compilation import Compilation
    from litconv.callbacks.threads import Threads

    check_callbacks(config)
    monitor, mode = watched(config.task)
    compilation = [Compilation(config.compile.mode)] if config.compile.enabled else []
    of_every_run = part(config.callbacks)(folder, monitor, mode)
    return [*averaging(config), *of_every_run, *compilation, Threads(config.threads)]


def averaging(config: DictConfig) -> list[Any]:
    """The one of `ema`, where it is on."""
    from pytorch_lightning.callbacks import WeightAveraging

    from litconv.callbacks.averaging import Averaging

    own = {f"ema={config.ema}": None} if config.ema is not None else {}
    extra = (config.callbacks.get("extra") or {}).items()
    all_of_them = [
        *own,
        *(f"callbacks.extra.{name}" for name, node in extra if issubclass(target(node), WeightAveraging)),
    ]
    if len(all_of_them) > 1:
        raise ConfigError(
            f"{' and '.join(all_of_them)} each put an average of their own in the model's place; keep one"
        )
    if own and config.trainer.precision in ("bf16-true", "16-true"):
        raise ConfigError(
            f"ema={config.ema} with trainer.precision={config.trainer.precision}: what a step adds to the average is less than "
            f"16 bits can say; use {config.trainer.precision.replace('true', 'mixed')}"
        )
    return [Averaging(config.ema) for _ in own]


def check_callbacks(config: DictConfig) -> None:
    from pytorch_lightning import Callback

    for name, node in (config.callbacks.get("extra") or {}).items():
        kind = target(node)
        if not (isinstance(kind, type) and issubclass(kind, Callback)):
            key = f"callbacks.extra.{name}._target_={node._target_}"
            raise ConfigError(f"{key} is no Callback of Lightning; name a class that is one")
        for unfit, why in unfit_callbacks().items():
            if issubclass(kind, unfit):
                raise ConfigError(f"{node._target_} {why}")


def unfit_callbacks() -> dict[type, str]:
    """Of Lightning's own, those with which a run would not be what it says."""
    from pytorch_lightning.callbacks import (
        BaseFinetuning,
        BatchSizeFinder,
        GradientAccumulationScheduler,
        LearningRateFinder,
        ModelPruning,
        StochasticWeightAveraging,
    )

    return {
        StochasticWeightAveraging: (
            "validates its average in one epoch alone, which it adds to those that were asked for, so that the checkpoint that "
            "is tested may hold none of it; use ema=0.999, or pytorch_lightning.callbacks.WeightAveraging"
        ),
        BatchSizeFinder: "trains with another batch size than config.yaml says; set data.batch_size to what it finds",
        LearningRateFinder: "trains with another learning rate than config.yaml says; set optim.lr to what it finds",
        ModelPruning: "takes weights away that the costs count, and does not know convolutions without a bias",
        BaseFinetuning: "trains parts of the network alone, and the run is to train all of it",
        GradientAccumulationScheduler: (
            "changes the number of steps after the learning rate's schedule was made of it; use trainer.accumulate_grad_batches"
        ),
    }


def loggers(config: DictConfig) -> dict[str, Callable[..., RunLogger]]:
    """Under the name of each logger its class, with the options of its yaml bound; none of them starts."""
    return {name: partial_of(node, f"logger.{name}") for name, node in config.logger.items()}


def check_loggers(config: DictConfig) -> None:
    for name, node in config.logger.items():
        kind = target(node)
        if not (isinstance(kind, type) and issubclass(kind, RunLogger)):
            raise ConfigError(
                f"logger.{name}._target_={node._target_} is no logger; name a class with the methods "
                "metrics, table, image and finish (litconv.loggers.run_logger)"
            )


def trainer(config: DictConfig, own: list[Any]) -> Any:
    """Lightning's Trainer with these callbacks and no logger yet."""
    from litconv.build.processes import among, environment

    try:
        with as_config_error("trainer"):
            make = partial_of(config.trainer, "trainer")
            plugins = among(make.keywords.get("plugins"), environment(config.trainer))
            return make(logger=False, callbacks=own, plugins=plugins)
    except RuntimeError as error:
        if "stateful callback" not in str(error):
            raise
        kind = re.search(r"of type `(\w+)`", str(error))
        raise ConfigError(
            f"callbacks.extra: two callbacks of the class {kind[1] if kind else '?'} watch the same, so that a checkpoint could "
            "not tell their states apart (litconv has ModelCheckpoints of its own); remove one, or set another monitor"
        ) from error
    except ConfigError as error:
        elsewhere = "" if config.trainer.accelerator in ("auto", "cpu") else "; trainer=cpu runs on any machine"
        if elsewhere and choices(config)["trainer"] == "cpu":
            elsewhere = f"; remove trainer.accelerator={config.trainer.accelerator}"
        reason = str(error).removeprefix("trainer: ")
        named = [f"trainer.{key}={value}" for key, value in config.trainer.items() if is_named(str(key), value, reason)]
        where = ", ".join([f"trainer={choices(config)['trainer']}", *named])
        raise ConfigError(f"{where}: {reason}{elsewhere}") from error


def device(config: DictConfig) -> torch.device:
    """Where a run of this configuration trains, for what has no Trainer of its own."""
    return trainer(config, []).strategy.root_device


def is_named(key: str, value: Any, reason: str) -> bool:
    """Whether Lightning speaks of this option, by its name or by a text that is its value."""
    by_name = f"`{key}`" in reason or f"`{key}=" in reason or ("_" in key and re.search(rf"\b{key}\b", reason))
    return bool(by_name) or (isinstance(value, str) and f"'{value}'" in reason)
