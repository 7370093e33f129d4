"""From a composed configuration to plain objects: the only place besides train.py that imports OmegaConf.

`compose` and `load` give configurations, `build_*` turn their groups into objects; from there on, no layer and no task
sees a configuration. What is refused before that is in `checks`.
"""

import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from litconv.errors import ConfigError, DataError

STAGES = range(1, 6)
SHORT_NAMES = ("groups", "dilation", "kernel_size")
CONF = Path(__file__).resolve().parents[2] / "conf"


def compose(overrides: list[str], config_name: str = "train") -> DictConfig:
    """The configuration of a command line, as train.py gets it; for tests, scripts and notebooks."""
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        return hydra.compose(config_name, overrides, return_hydra_config=True)


def raw(config: DictConfig) -> dict[str, Any]:
    """The configuration as plain types with its interpolations unresolved, without Hydra's own part."""
    masked = OmegaConf.masked_copy(config, [str(k) for k in config if k != "hydra"])
    return OmegaConf.to_container(masked, resolve=False)


def hydra_state(config: DictConfig) -> tuple[list[str], dict[str, str], bool]:
    """The overrides, the choice made in each group, and whether this is one point of a multirun."""
    if "choices" in config:  # the config.yaml of a run
        return [], dict(config.choices), False
    state = config.hydra if "hydra" in config else HydraConfig.get()  # composed here, or by hydra.main
    chosen = {k: v for k, v in state.runtime.choices.items() if v not in (None, "null") and not k.startswith("hydra/")}
    return list(state.overrides.task), chosen, str(state.mode).endswith("MULTIRUN")


def load(path: Path) -> DictConfig:
    """The config.yaml of a run's folder."""
    return OmegaConf.load(path)


def choices(config: DictConfig) -> dict[str, str]:
    """Group → the name of the yaml that was chosen in it."""
    return hydra_state(config)[1]


def target(node: DictConfig) -> Callable:
    try:
        return pkgutil.resolve_name(node["_target_"])
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"_target_={node['_target_']} cannot be loaded ({error}); it must be package.module.Class"
        ) from error


def takes(node: DictConfig, parameter: str) -> bool:
    return parameter in inspect.signature(target(node)).parameters


@contextmanager
def as_config_error() -> Iterator[None]:
    """What a constructor says of its arguments is for the user."""
    try:
        yield
    except (DataError, ConfigError):
        raise
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, DataError | ConfigError):
            raise cause from error
        raise ConfigError(str(cause or error)) from error
    except Exception as error:
        of_lightning = type(error).__name__ == "MisconfigurationException"  # by name: importing it takes seconds
        if not of_lightning and not isinstance(error, ValueError | TypeError | ArithmeticError | ImportError):
            raise
        raise ConfigError(str(error)) from error


def select(config: DictConfig, path: str) -> Any:
    """The node at a dotted path, None where there is none."""
    return OmegaConf.select(config, path)


def is_set(config: DictConfig, name: str) -> bool:
    return not OmegaConf.is_missing(config, name)


def written_and_resolved(node: DictConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    return OmegaConf.to_container(node, resolve=False), OmegaConf.to_container(node, resolve=True)


def part(node: DictConfig, **more: Any) -> Any:
    """The object that a group describes; `more` are arguments that are objects themselves."""
    with as_config_error():
        if node.get("_partial_"):
            return instantiate(node, _convert_="all")
        return instantiate(node, _partial_=True, _convert_="all")(**more)


def build_data(config: DictConfig) -> Any:
    """The DataModule; nothing is read yet."""
    task, data = target(config.task), target(config.data)
    if task.name not in data.tasks:
        chosen = choices(config)
        raise ConfigError(
            f"task={chosen.get('task')} needs {'masks' if task.name == 'segmentation' else 'labels'}, and "
            f"data={chosen.get('data')} is for {' and '.join(sorted(data.tasks))} only; choose another data or task"
        )
    return part(config.data, **({"task": task.name} if takes(config.data, "task") else {}))


def assemble(config: DictConfig, in_channels: int, num_classes: int) -> Any:
    from litconv.model import Model

    conv = part(config.conv)
    stages = {n: part(node) for n in STAGES if (node := config.get(f"conv_stage{n}")) is not None}
    backbone = part(config.backbone, conv=conv, in_channels=in_channels, stage_convs=stages)
    slots = {"conv": conv} if takes(config.head, "conv") else {}
    if takes(config.head, "upsample"):
        slots["upsample"] = part(config.upsample)
    head = part(config.head, channels=backbone.channels, strides=backbone.strides, num_classes=num_classes, **slots)
    return Model(backbone, head)


def kernel_size(config: DictConfig) -> int | None:
    """The short name, where it is set."""
    return config.kernel_size if is_set(config, "kernel_size") else None


def with_standard(config: DictConfig) -> DictConfig:
    """The same with standard convolutions in every slot: what ratios refer to."""
    stages = {f"conv_stage{number}" for number in STAGES}
    twin = OmegaConf.masked_copy(config, [str(k) for k in config if k not in stages])
    twin.conv = load(CONF / "conv" / "standard.yaml")
    return twin


def is_standard(config: DictConfig) -> bool:
    """Whether the model is itself what ratios refer to."""
    chosen = choices(config)
    return chosen["conv"] == "standard" and not any("@conv_stage" in group for group in chosen)


def memory_format(config: DictConfig) -> Any:
    import torch

    return {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}[config.memory_format]


def build_model(config: DictConfig, in_channels: int, num_classes: int) -> Any:
    """Backbone and head, initialised from the seed, in the memory format that the configuration asks for."""
    from litconv.init import initialise

    model = assemble(config, in_channels, num_classes)
    initialise(model, config.seed)
    return model.to(memory_format=memory_format(config))


def build_task(config: DictConfig, data: Any) -> Any:
    """The LightningModule around a fresh model, for a data set that has been set up."""
    facts = {"ignore_index": data.ignore_index, "class_names": list(data.class_names)}
    return part(
        config.task,
        model=build_model(config, data.in_channels, data.num_classes),
        num_classes=data.num_classes,
        optim=part(config.optim),
        schedule=part(config.schedule),
        seed=config.seed,
        **{name: fact for name, fact in facts.items() if takes(config.task, name)},
    )


def build_trainer(config: DictConfig, **parts: Any) -> Any:
    try:
        return part(config.trainer, **parts)
    except ConfigError as error:
        elsewhere = "" if config.trainer.accelerator in ("auto", "cpu") else "; trainer=cpu runs on any machine"
        raise ConfigError(f"trainer={choices(config)['trainer']}: {error}{elsewhere}") from error


def check_parts(config: DictConfig, data: Any, num_classes: int = 10) -> None:
    """Build everything but the data once, without memory, so that a fault of the configuration comes before any data."""
    import torch

    from litconv import cost
    from litconv.optim import check as check_optim

    check_optim(part(config.optim), part(config.schedule))
    trainer = build_trainer(config, logger=False, callbacks=[])
    cost.device(config)
    if trainer.max_epochs is not None and trainer.max_epochs < (trainer.check_val_every_n_epoch or 1):
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
    with torch.device("meta"):
        model = assemble(config, data.in_channels, num_classes)
        cost.check_size(model, data.image_size)
        facts = {"ignore_index": -100, "class_names": [str(n) for n in range(num_classes)]}
        part(
            config.task,
            model=model,
            num_classes=num_classes,
            optim=part(config.optim),
            schedule=part(config.schedule),
            seed=config.seed,
            **{name: fact for name, fact in facts.items() if takes(config.task, name)},
        )
    overrides, chosen, multirun = hydra_state(config)
    for group, why in {
        "conv": "every stage has an operator of its own",
        "upsample": f"head={chosen['head']} has nothing to enlarge here",
    }.items():
        given = any(o.lstrip("+").partition("=")[0].partition(".")[0] == group for o in overrides)
        if given and not multirun and not any(type(m) is target(config[group]) for m in model.modules()):
            raise ConfigError(f"{group}={chosen[group]} has no effect: {why}; remove it")


def plain(config: DictConfig) -> dict[str, Any]:
    """The resolved configuration as plain types, without Hydra's own part and without short names that nothing takes up."""
    used = short_names_used(config)
    unused = [n for n in SHORT_NAMES if n not in used or OmegaConf.is_missing(config, n)]
    if not takes(config.head, "upsample"):
        unused.append("upsample")
    left_out = {"hydra", *unused}
    masked = OmegaConf.masked_copy(config, [str(k) for k in config if k not in left_out])
    return OmegaConf.to_container(masked, resolve=True)


def short_names_used(config: DictConfig) -> dict[str, str]:
    """Short name → the key that takes it up, for every short name that an interpolation of this config reads."""
    used = {}

    def walk(node: Any, path: str) -> None:
        if isinstance(node, dict):
            for key, child in node.items():
                walk(child, f"{path}.{key}" if path else str(key))
        elif isinstance(node, str) and (name := short_name_in(node)):
            used.setdefault(name, path)

    walk(raw(config), "")
    return used


def short_name_in(value: str) -> str | None:
    match = re.fullmatch(r"\$\{(?:oc\.select:)?(\w+)(?:,.*)?\}", value)
    return match[1] if match and match[1] in SHORT_NAMES else None
