"""What a `_target_` may name. A configuration can be somebody else's file, and Hydra would call anything it names.

litconv's own classes and functions, and classes of the packages below. The root key `allowed_packages=[my_package]` adds
a user's own. Both the path that is written and the module that defines the object must be inside: `torch.nn.os.system` is not.
"""

import inspect
import pkgutil
from collections.abc import Callable, Sequence
from typing import Any

from litconv.errors import ConfigError

OWN = "litconv"
PACKAGES = (
    *("torch.nn", "torch.optim", "torchvision.ops", "torchvision.transforms", "torchmetrics"),
    *("pytorch_lightning", "lightning_fabric", "lightning.pytorch", "lightning.fabric"),
)


def resolve(name: str, allowed: Sequence[str], key: str = "") -> Callable:
    """The class or function of this dotted name; `key` is where it is written."""
    key = f"{key}._target_".lstrip(".")
    if not isinstance(name, str) or not within(name, (OWN, *PACKAGES, *allowed)):
        raise _refused(f"{key}={name}", str(name))
    try:
        found = pkgutil.resolve_name(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{key}={name} cannot be loaded ({error}); it must be package.module.Class") from error
    home = getattr(found, "__module__", None) or ""
    if within(home, (OWN, *allowed)) and (inspect.isclass(found) or inspect.isfunction(found)):
        return found
    if within(home, PACKAGES) and inspect.isclass(found):
        return found
    raise _refused(f"{key}={name}", home or name)


def check_nested(value: Any, allowed: Sequence[str], key: str = "") -> None:
    """Every `_target_` at any depth of a resolved configuration."""
    if isinstance(value, dict):
        if "_target_" in value:
            resolve(value["_target_"], allowed, key)
        for name, child in value.items():
            check_nested(child, allowed, f"{key}.{name}".lstrip("."))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            check_nested(child, allowed, f"{key}[{index}]")


def within(name: str, packages: Sequence[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _refused(what: str, home: str) -> ConfigError:
    return ConfigError(
        f"{what} may not be built: a configuration names classes of {OWN}, torch.nn, torch.optim, torchvision, torchmetrics "
        f"and Lightning; for a package of your own add allowed_packages=[{home.partition('.')[0]}]"
    )
