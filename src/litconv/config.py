"""From a composed configuration to plain objects: the only place besides train.py that imports OmegaConf.

`check` refuses what Hydra lets through: keys that no class takes, values of the wrong type, and overrides without an
effect, since two equal points in an ablation are a lie. `build_*` turn the groups into objects; from there on, no layer
and no task sees a configuration.
"""

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import DictConfig, OmegaConf

from litconv.cli import did_you_mean, unknown_key
from litconv.errors import ConfigError, DataError

SHORT_NAMES = ("groups", "dilation", "kernel_size")
STAGES = range(1, 6)
# Arguments that litconv itself passes
BUILT = {
    "self",
    "in_channels",
    "out_channels",
    "stride",
    "dilation",
    "conv",
    "upsample",
    "stage_convs",
    "channels",
    "strides",
    "num_classes",
    "model",
    "optim",
    "schedule",
    "ignore_index",
    "class_names",
    "params",
    "optimizer",
    "total_steps",
    "folder",
    "name",
    "group",
    "job_type",
    "tags",
    "config",
    "monitor",
    "callbacks",
    "logger",
    "unused",
    "extra",
}
ROOT_TYPES = {
    "seed": int,
    "epochs": int,
    "width": float,
    "memory_format": Literal["channels_last", "contiguous"],
    "output_dir": str,
}
CONF = Path(__file__).resolve().parents[2] / "conf"


def compose(overrides: list[str], config_name: str = "train") -> DictConfig:
    """The configuration of a command line, as train.py gets it; for tests, scripts and notebooks."""
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        return hydra.compose(config_name, overrides, return_hydra_config=True)


def keys(config_name: str = "train") -> list[str]:
    """Every key that a command line may set, dotted: those of the groups that it chooses, and the groups themselves."""
    chosen = [
        a.split(",")[0] for a in sys.argv[1:] if (CONF / a.partition("=")[0].partition("@")[0]).is_dir() and "=" in a
    ]
    backup, GlobalHydra.instance().hydra = GlobalHydra.instance().hydra, None  # this may run inside a Hydra job
    try:
        config = compose(chosen, config_name)
    except HydraException:  # a choice is at fault itself
        GlobalHydra.instance().clear()
        config = compose([], config_name)
    finally:
        GlobalHydra.instance().hydra = backup
    found = []
    if config_name == "train":
        found = [p.name for p in CONF.iterdir() if p.is_dir()] + [f"conv@conv_stage{n}" for n in STAGES]

    def walk(node: dict[str, Any], prefix: str) -> None:
        for key, child in node.items():
            found.append(f"{prefix}{key}")
            if isinstance(child, dict):
                if (
                    "_target_" in child
                ):  # what its class takes and its yaml leaves at the default, to be added by a plus
                    parameters = inspect.signature(get_object(child["_target_"])).parameters
                    found.extend(f"+{prefix}{key}.{p}" for p in parameters if p not in child and p not in BUILT)
                walk(child, f"{prefix}{key}.")

    walk(raw(config), "")
    return [k for k in found if not k.rpartition(".")[2].startswith("_")]


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


def check(config: DictConfig) -> None:
    """Refuse unknown keys, wrong types and overrides without effect; every fault found stands in one message."""
    overrides, chosen, multirun = hydra_state(config)
    used = short_names_used(config)
    faults = []
    for name in SHORT_NAMES:
        if not OmegaConf.is_missing(config, name) and name not in used and not multirun:
            faults.append(without_effect(name, config[name], chosen))
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        group = key.partition("@")[0]
        if override.startswith("+") and not (CONF / group).is_dir():
            faults.extend(added_key_faults(config, key))
        if group.partition(".")[0] == "upsample" and not takes(config.head, "upsample") and not multirun:
            heads = ", ".join(p.stem for p in sorted((CONF / "head").glob("*.yaml")) if head_upsamples(p))
            faults.append(
                f"{key}={value} has no effect: head={chosen.get('head')} has no upsampler; heads that do: {heads}"
            )
        if key == "epochs" and raw(config)["trainer"]["max_epochs"] != "${epochs}":
            faults.append(
                f"epochs={value} has no effect: trainer={chosen.get('trainer')} sets max_epochs="
                f"{config.trainer.max_epochs}; remove epochs, or set trainer.max_epochs={value}"
            )
    for key, hint in ROOT_TYPES.items():
        if not matches(config[key], hint):
            faults.append(f"{key}={shown(config[key])} must be {describe(hint)}")
    if matches(config.epochs, int) and config.epochs < 1:
        faults.append(f"epochs={config.epochs} must be at least 1")
    if matches(config.seed, int) and not 0 <= config.seed < 2**32:
        faults.append(f"seed={config.seed} must be at least 0 and less than 2**32")
    for key, node in raw(config).items():
        if isinstance(node, dict) and "_target_" in node:
            faults.extend(type_faults(key, config[key]))
    if faults:
        raise ConfigError("; ".join(dict.fromkeys(faults)))


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


def without_effect(name: str, value: Any, chosen: dict[str, str]) -> str:
    takers = [p.stem for p in sorted((CONF / "conv").glob("*.yaml")) if f"select:{name}," in p.read_text()]
    return (
        f"{name}={value} has no effect: conv={chosen.get('conv')} has no {name}; operators that do: "
        f"{', '.join(takers)}; remove {name} or choose one of them"
    )


def head_upsamples(path: Path) -> bool:
    return takes(OmegaConf.load(path), "upsample")


def target(node: DictConfig) -> Callable:
    return get_object(node["_target_"])


def takes(node: DictConfig, parameter: str) -> bool:
    return parameter in inspect.signature(target(node)).parameters


def added_key_faults(config: DictConfig, key: str) -> list[str]:
    """`+key=…` may add an argument that a class takes and its yaml leaves at the default, and nothing else."""
    parent, _, leaf = key.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else None
    if leaf in SHORT_NAMES and not parent:
        return []  # a short name with a needless plus: judged like any other
    if not isinstance(node, DictConfig) or "_target_" not in node:
        return [f"+{unknown_key(key, keys())}"]
    parameters = inspect.signature(target(node)).parameters
    if leaf in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return []
    name = node["_target_"].rpartition(".")[2]
    return [f"+{key}: {name} takes no {leaf!r}{did_you_mean(leaf, list(parameters))}; it takes {', '.join(parameters)}"]


def type_faults(path: str, node: DictConfig) -> list[str]:
    """Values that are not of the type in the signature of the class; short names are called by their short name."""
    cls = target(node)
    hints = get_type_hints(cls.__init__ if inspect.isclass(cls) else cls)
    faults = []
    written = OmegaConf.to_container(node, resolve=False)
    for key, value in OmegaConf.to_container(node, resolve=True).items():
        if key in hints and not matches(value, hints[key]):
            short = short_name_in(written[key]) if isinstance(written[key], str) else None
            linked = re.fullmatch(r"\$\{(\w+)\}", written[key]) if isinstance(written[key], str) else None
            name = short or (linked[1] if linked else f"{path}.{key}")
            faults.append(f"{name}={shown(value)} must be {describe(hints[key])}")
    return faults


def shown(value: Any) -> str:
    return "''" if value == "" else "null" if value is None else str(value)


def matches(value: Any, hint: Any) -> bool:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint in (bool, str, type(None)):
        return isinstance(value, hint)
    if origin is Literal:
        return value in arguments
    if origin is Union or type(hint).__name__ == "UnionType":
        return any(matches(value, a) for a in arguments)
    if inspect.isclass(hint) and isinstance(value, str | int | float):
        return isinstance(value, hint)
    return True


def describe(hint: Any) -> str:
    names = {int: "an integer", float: "a number", bool: "true or false", str: "a text", type(None): "null"}
    if hint in names:
        return names[hint]
    if get_origin(hint) is Literal:
        return " or ".join(map(str, get_args(hint)))
    parts = [describe(a) for a in get_args(hint) if a in names or get_origin(a) is Literal]
    return " or ".join(parts) if parts else str(hint)


@contextmanager
def as_config_error() -> Iterator[None]:
    """What a constructor says of its arguments is for the user."""
    try:
        yield
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, DataError | ConfigError):
            raise cause from error
        raise ConfigError(str(cause or error)) from error
    except DataError:
        raise
    except ValueError as error:
        raise ConfigError(str(error)) from error


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

    conv, upsample = part(config.conv), part(config.upsample)
    stages = {n: part(node) for n in STAGES if (node := config.get(f"conv_stage{n}")) is not None}
    backbone = part(config.backbone, conv=conv, in_channels=in_channels, stage_convs=stages)
    slots = {name: slot for name, slot in (("conv", conv), ("upsample", upsample)) if takes(config.head, name)}
    head = part(config.head, channels=backbone.channels, strides=backbone.strides, num_classes=num_classes, **slots)
    return Model(backbone, head)


def build_model(config: DictConfig, in_channels: int, num_classes: int) -> Any:
    """Backbone and head, initialised from the seed, in the memory format that the configuration asks for."""
    import torch

    from litconv.init import initialise

    model = assemble(config, in_channels, num_classes)
    initialise(model, config.seed)
    formats = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}
    return model.to(memory_format=formats[config.memory_format])


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


def check_parts(config: DictConfig, data: Any, num_classes: int = 10) -> None:
    """Build everything but the data once, without memory, so that a fault of the configuration comes before any data."""
    import torch

    from litconv.optim import check as check_optim

    check_optim(part(config.optim), part(config.schedule))
    with torch.device("meta"):
        model = assemble(config, data.in_channels, num_classes)
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


def plain(config: DictConfig) -> dict[str, Any]:
    """The resolved configuration as plain types, without Hydra's own part and without short names that nothing takes up."""
    used = short_names_used(config)
    left_out = {"hydra", *(n for n in SHORT_NAMES if n not in used or OmegaConf.is_missing(config, n))}
    masked = OmegaConf.masked_copy(config, [str(k) for k in config if k not in left_out])
    return OmegaConf.to_container(masked, resolve=True)
