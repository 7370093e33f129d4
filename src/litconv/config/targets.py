"""What a `_target_` may name. A configuration can be somebody else's file, and Hydra would call anything it names.

litconv's own classes and functions, and classes of the packages below. The root key `allowed_packages=[my_package]` adds
a user's own. Both the path that is written and the module that defines the object must be inside: `torch.nn.os.system` is not.
"""

import inspect
import pkgutil
from collections.abc import Callable, Sequence
from typing import Any

from litconv.config.declared import Declared, declared
from litconv.errors import ConfigError

OWN = "litconv"
PACKAGES = (
    *("torch.nn", "torch.optim", "torchvision.ops", "torchvision.transforms", "torchmetrics"),
    *("pytorch_lightning", "lightning_fabric", "lightning.pytorch", "lightning.fabric"),
)


def resolve(name: str, allowed: Sequence[str], key: str = "") -> Callable:
    """The class or function of this dotted name; `key` is where it is written."""
    found = _looked_up(name, allowed, key, pkgutil.resolve_name)
    home = getattr(found, "__module__", None) or ""
    callable_ = inspect.isclass(found) or (inspect.isfunction(found) and not within(home, PACKAGES))
    if callable_ and within(home, (OWN, *PACKAGES, *allowed)):
        return found
    raise _refused(name, key, home or name)


def declared_by(name: str, allowed: Sequence[str], key: str = "") -> Declared:
    """The same from the source: for a look at a configuration before anything of it is imported."""
    found = _looked_up(name, allowed, key, declared)
    if within(found.home, (OWN, *PACKAGES, *allowed)) and (found.is_class or not within(found.home, PACKAGES)):
        return found
    raise _refused(name, key, found.home or name)


def _looked_up(name: str, allowed: Sequence[str], key: str, look: Callable[[str], Any]) -> Any:
    if not isinstance(name, str) or not within(name, (OWN, *PACKAGES, *allowed)):
        raise _refused(name, key, str(name))
    try:
        return look(name)
    except Exception as error:  # a user's own module may fail to be read or imported in any way
        reason = f"{_key(key)}={name} cannot be loaded ({' '.join(str(error).split()) or type(error).__name__})"
        raise ConfigError(f"{reason}; it must be package.module.Class") from error


def check_nested(value: Any, allowed: Sequence[str], key: str = "", look: Callable[..., Any] = resolve) -> None:
    """Every `_target_` at any depth of a resolved configuration."""
    if isinstance(value, dict):
        if "_target_" in value:
            look(value["_target_"], allowed, key)
        for name, child in value.items():
            check_nested(child, allowed, f"{key}.{name}".lstrip("."), look)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            check_nested(child, allowed, f"{key}[{index}]", look)


def within(name: str, packages: Sequence[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _key(key: str) -> str:
    return f"{key}._target_".lstrip(".")


def _refused(name: Any, key: str, home: str) -> ConfigError:
    return ConfigError(
        f"{_key(key)}={name} may not be built: a configuration names classes of {OWN}, torch.nn, torch.optim, "
        f"torchvision, torchmetrics and Lightning; for a package of your own add allowed_packages=[{home.partition('.')[0]}]"
    )
