"""From a composed configuration to plain objects: the only place besides train.py that imports OmegaConf.

`compose` and `load` give configurations, `build_*` turn their groups into objects; from there on, no layer and no task
sees a configuration. What is refused before that is in `checks`.
"""

import inspect
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
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from litconv import targets
from litconv.errors import ConfigError, DataError

STAGES = range(1, 6)
RUN_KEYS = (  # of a run's config.yaml, without which it cannot be rebuilt
    *("seed", "memory_format", "choices.data", "choices.task", "choices.head", "trainer._target_"),
    *(f"{part}._target_" for part in ("conv", "backbone", "head", "task", "data", "optim", "schedule")),
)
SHORT_NAMES = ("groups", "dilation", "kernel_size")
LAUNCH_KEYS = ("n_jobs", "slots_per_gpu", "time_limit_minutes", "rerun")  # of the launch of a sweep, not of its runs
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


def launcher(config: DictConfig) -> str:
    """What launches the jobs of a multirun."""
    state = config.hydra if "hydra" in config else HydraConfig.get()
    return state.runtime.choices["hydra/launcher"]


def load(path: Path) -> DictConfig:
    """The config.yaml of a run's folder."""
    return OmegaConf.load(path)


def load_run(path: Path, allowed: list[str]) -> DictConfig:
    """The same, of a run that somebody else may have made: what may be built is said by `allowed`, not by the file."""
    try:
        config = load(path)
        found = isinstance(config, DictConfig)
        missing = [key for key in RUN_KEYS if not found or OmegaConf.select(config, key) is None]
    except (OSError, ValueError, YAMLError, OmegaConfBaseException) as error:
        raise ConfigError(f"{path} cannot be read ({' '.join(str(error).split())[:120]})") from error
    if missing:
        raise ConfigError(f"{path} is not the config.yaml of a run: it has no {', '.join(missing)}")
    config.allowed_packages = allowed
    return config


def choices(config: DictConfig) -> dict[str, str]:
    """Group → the name of the yaml that was chosen in it."""
    return hydra_state(config)[1]


def target(node: DictConfig) -> Callable:
    return targets.resolve(node["_target_"], allowed_packages(node), key_of(node))


def allowed_packages(node: DictConfig) -> list[str]:
    """What the user has added, at the root of the configuration, to the packages that a `_target_` may name."""
    names = node._get_root().get("allowed_packages") or [] if isinstance(node, DictConfig) else []
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"allowed_packages={names} must be a list of package names, such as [my_package]")
    return list(names)


def key_of(node: DictConfig) -> str:
    return str(node._key() or "") if isinstance(node, DictConfig) else ""


def takes(node: DictConfig, parameter: str) -> bool:
    return parameter in inspect.signature(target(node)).parameters


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


def select(config: DictConfig, path: str) -> Any:
    """The node at a dotted path, None where there is none."""
    return OmegaConf.select(config, path)


def is_set(config: DictConfig, name: str) -> bool:
    return not OmegaConf.is_missing(config, name)


def written_and_resolved(node: DictConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    return OmegaConf.to_container(node, resolve=False), OmegaConf.to_container(node, resolve=True)


def part(node: DictConfig, **more: Any) -> Any:
    """The object that a group describes; `more` are arguments that are objects themselves."""
    targets.check_nested(OmegaConf.to_container(node, resolve=True), allowed_packages(node), key_of(node))
    with as_config_error(key_of(node)):
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
    return with_operator(config, "standard")


def with_operator(config: DictConfig, name: str) -> DictConfig:
    """The same with one operator, as its yaml has it, in every slot."""
    stages = {f"conv_stage{number}" for number in STAGES}
    twin = OmegaConf.masked_copy(config, [str(k) for k in config if k not in stages])
    twin.conv = load(CONF / "conv" / f"{name}.yaml")
    return twin


def with_values(config: DictConfig, values: dict[str, Any]) -> DictConfig:
    """The same with other values at these dotted keys."""
    twin = config.copy()
    for key, value in values.items():
        OmegaConf.update(twin, key, value, force_add=True)
    return twin


def of_model(config: DictConfig) -> DictConfig:
    """What a model is built from, and no more: quicker to copy."""
    rest = {"hydra", "data", "task", "optim", "schedule", "trainer", "callbacks", "logger", "cost", "match"}
    return OmegaConf.masked_copy(config, [str(k) for k in config if k not in rest])


def operators(config: DictConfig) -> list[Callable]:
    """The one of `conv=` and those of single stages, with their options bound."""
    return [
        part(node) for key in ("conv", *(f"conv_stage{n}" for n in STAGES)) if (node := config.get(key)) is not None
    ]


def is_standard(config: DictConfig) -> bool:
    """Whether the model is itself what ratios refer to."""
    chosen = choices(config)
    return chosen["conv"] == "standard" and not any("@conv_stage" in group or group == "match" for group in chosen)


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
        reason = str(error).removeprefix("trainer: ")
        raise ConfigError(f"trainer={choices(config)['trainer']}: {reason}{elsewhere}") from error


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
    left_out = {"hydra", *LAUNCH_KEYS, *unused}
    masked = OmegaConf.masked_copy(config, [str(k) for k in config if k not in left_out])
    return OmegaConf.to_container(masked, resolve=True)


def as_yaml(config: DictConfig) -> str:
    """A run's config.yaml: everything that built it, and the choices made in the groups."""
    return OmegaConf.to_yaml(OmegaConf.create({**plain(config), "choices": choices(config)}))


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
