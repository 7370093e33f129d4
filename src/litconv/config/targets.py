"""What a `_target_` may name. A configuration can be somebody else's file, and Hydra would call anything it names.

litconv's own classes and functions, and classes of the packages below. The root key `allowed_packages=[my_package]` adds
a user's own. Both the path that is written and the module that defines the object must be inside: `torch.nn.os.system` is not.
"""

import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from litconv.config import signatures
from litconv.config.signatures import Signature
from litconv.config.stubs import OWN
from litconv.errors import ConfigError

PACKAGES = (
    *("torch.nn", "torch.optim", "torchvision.ops", "torchvision.transforms", "torchmetrics"),
    *("pytorch_lightning", "lightning_fabric", "lightning.pytorch", "lightning.fabric"),
)


def resolve(name: str, allowed: Sequence[str], key: str = "") -> Callable:
    """The class or function of this dotted name; `key` is where it is written."""
    thing = _looked_up(name, allowed, key, pkgutil.resolve_name)
    home = getattr(thing, "__module__", None) or ""
    if not inspect.isclass(thing) and not inspect.isfunction(thing):
        raise _refused(name, key, home or name)
    _require_home(name, allowed, key, home, inspect.isclass(thing))
    return thing


def signature(name: str, allowed: Sequence[str], key: str = "") -> Signature:
    """What it takes; litconv's own are not imported for that."""
    taken = _looked_up(name, allowed, key, signatures.signature)
    _require_home(name, allowed, key, taken.module, taken.is_class)
    return taken


def require_allowed(name: Any, allowed: Sequence[str], key: str = "") -> None:
    """Refuse a name outside the packages; nothing is imported for it."""
    if not isinstance(name, str) or not _within(name, (OWN, *PACKAGES, *allowed)):
        raise _refused(name, key, str(name))


def check_nested(value: Any, allowed: Sequence[str], key: str = "") -> None:
    """Every `_target_` at any depth of a resolved configuration, imported."""
    for where, node in nested(value, key):
        resolve(node["_target_"], allowed, where)


def nested(value: Any, key: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """The dotted key of every node with a `_target_`, and the node."""
    if isinstance(value, dict):
        if "_target_" in value:
            yield key, value
        for name, child in value.items():
            yield from nested(child, f"{key}.{name}".lstrip("."))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from nested(child, f"{key}[{index}]")


def is_of_user(name: str) -> bool:
    """Neither litconv's nor of torch, Lightning and the like, which take seconds to import."""
    return not _within(name, (OWN, *PACKAGES))


def _looked_up(name: str, allowed: Sequence[str], key: str, look_up: Callable[[str], Any]) -> Any:
    require_allowed(name, allowed, key)
    if is_of_user(name) and (here := str(Path.cwd())) not in sys.path:
        sys.path.append(
            here
        )  # behind all that is installed: my_operators.py of the folder in which the command is given
    try:
        return look_up(name)
    except Exception as error:  # a user's own module may fail to be imported in any way
        reason = f"{_key(key)}={name} cannot be loaded ({' '.join(str(error).split()) or type(error).__name__})"
        raise ConfigError(f"{reason}; it must be package.module.Class") from error


def _require_home(name: str, allowed: Sequence[str], key: str, home: str, is_class: bool) -> None:
    """Where it is defined must be inside as well; of a library only classes are built."""
    if not _within(home, (OWN, *PACKAGES, *allowed)) or (_within(home, PACKAGES) and not is_class):
        raise _refused(name, key, home or name)


def _within(name: str, packages: Sequence[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def _key(key: str) -> str:
    return f"{key}._target_".lstrip(".")


def _refused(name: Any, key: str, home: str) -> ConfigError:
    return ConfigError(
        f"{_key(key)}={name} may not be built: a configuration names classes of {OWN}, torch.nn, torch.optim, "
        f"torchvision, torchmetrics and Lightning; for a package of your own add allowed_packages=[{home.partition('.')[0]}]"
    )
