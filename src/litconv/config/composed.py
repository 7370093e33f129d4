"""A composed configuration as it stands: what was chosen, what is said where, the same with something else in its place.

No torch is imported here: a wrong command line is answered before that. `build` turns the groups into objects, and no
layer and no task sees a configuration.
"""

import re
from pathlib import Path
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, ListConfig, OmegaConf

from litconv.config import own_yamls, targets
from litconv.config.hydra_state import hydra_state
from litconv.config.places import CONF
from litconv.config.root_keys import LAUNCH_KEYS, SHORT_NAMES, STAGES
from litconv.config.signatures import Signature
from litconv.config.spelling import as_hydra_reads
from litconv.errors import ConfigError


def compose(overrides: list[str], config_name: str = "train") -> DictConfig:
    """The configuration of a command line, as train.py gets it; for tests, scripts and notebooks."""
    if GlobalHydra.instance().is_initialized():  # inside a command
        return hydra.compose(config_name, [*map(as_hydra_reads, overrides)], return_hydra_config=True)
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        return hydra.compose(config_name, [*map(as_hydra_reads, overrides)], return_hydra_config=True)


def raw(config: DictConfig) -> dict[str, Any]:
    """The configuration as plain types with its interpolations unresolved, without Hydra's own part."""
    return OmegaConf.to_container(
        OmegaConf.masked_copy(config, [key for key in config if key != "hydra"]), resolve=False
    )


def load(path: Path) -> DictConfig:
    """One yaml: a run's config.yaml, or one of conf/."""
    return OmegaConf.load(path)


def choices(config: DictConfig) -> dict[str, str]:
    """Group → the name of the yaml that was chosen in it."""
    return hydra_state(config)[1]


def allowed_packages(node: DictConfig) -> list[str]:
    """What the user has added, at the root of the configuration, to the packages that a `_target_` may name."""
    names = node._get_root().get("allowed_packages") or [] if isinstance(node, DictConfig) else []
    if not isinstance(names, list | ListConfig) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"allowed_packages={names} must be a list of package names, such as [my_package]")
    return list(names)


def key_of(node: DictConfig) -> str:
    """Dotted, from the root of the configuration in which it stands."""
    return node._get_full_key(None) if isinstance(node, DictConfig) else ""


def declared(node: DictConfig) -> Signature:
    """What the node's class takes, and what it says of itself."""
    return targets.signature(node["_target_"], allowed_packages(node), key_of(node))


def takes(node: DictConfig, parameter: str) -> bool:
    return parameter in declared(node).parameters


def brings_own_head(config: DictConfig) -> bool:
    """Whether the backbone is, for the head's task, a whole network."""
    return bool(own_head_tasks(config.backbone) & tasks_of(config.head))


def own_head_tasks(backbone: DictConfig) -> frozenset[str]:
    """For which it is a whole network: none where the option that its class names for that is null."""
    says = declared(backbone).constants
    option = says.get("own_head_option")
    leaves_the_head = option is not None and option in backbone and backbone[option] is None
    return frozenset() if leaves_the_head else says.get("own_head", frozenset())


def tasks_of(node: DictConfig) -> frozenset[str]:
    """For which its class serves."""
    return declared(node).constants.get("tasks", frozenset())


def select(config: DictConfig, path: str) -> Any:
    """The node at a dotted path, None where there is none."""
    return OmegaConf.select(config, path)


def is_set(config: DictConfig, name: str) -> bool:
    return not OmegaConf.is_missing(config, name)


def written_and_resolved(node: DictConfig) -> tuple[dict[str, Any], dict[str, Any]]:
    return OmegaConf.to_container(node, resolve=False), OmegaConf.to_container(node, resolve=True)


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
    twin.conv = load(own_yamls.yamls("conv")[name])
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


def is_standard(config: DictConfig) -> bool:
    """Whether the model is itself what ratios refer to: no width was searched for, and every slot holds, under whatever
    name of a yaml, the same class with the same options as `with_standard` puts there."""
    reference = class_and_options(with_standard(config).conv)
    slots = [config.conv, *(node for number in STAGES if (node := config.get(f"conv_stage{number}")) is not None)]
    return config.get("match") is None and all(class_and_options(node) == reference for node in slots)


def class_and_options(node: DictConfig) -> tuple[str, str, dict[str, Any]]:
    """Of an operator; options that the yaml leaves at their default stand there too."""
    taken = declared(node)
    defaults = {key: parameter.default for key, parameter in taken.parameters.items()}
    written = OmegaConf.to_container(node, resolve=True)
    return taken.module, taken.name, defaults | {key: value for key, value in written.items() if key in defaults}


def plain(config: DictConfig) -> dict[str, Any]:
    """The resolved configuration as plain types, without Hydra's own part and without short names that nothing takes up."""
    used = short_names_used(config)
    left_out = {"hydra", *LAUNCH_KEYS, *(name for name in SHORT_NAMES if name not in used or not is_set(config, name))}
    if not takes(config.head, "upsample"):
        left_out.add("upsample")
    values = {str(key): config[key] for key in config if key not in left_out}
    return {key: OmegaConf.to_container(v, resolve=True) if OmegaConf.is_config(v) else v for key, v in values.items()}


def as_yaml(settings: dict[str, Any], chosen: dict[str, str]) -> str:
    """A run's config.yaml: everything that built it, and the choices made in the groups."""
    return OmegaConf.to_yaml(OmegaConf.create({**settings, "choices": chosen}))


def short_names_used(config: DictConfig) -> dict[str, str]:
    """Short name → the key that takes it up, for every short name that an interpolation of this config reads."""
    used: dict[str, str] = {}

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
