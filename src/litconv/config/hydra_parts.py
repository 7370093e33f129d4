"""What Hydra builds itself, before any check of ours runs: its callbacks, the sweeper, the launcher, and what they hold.

They are held to the rule of `targets` as everything else is, and refused in the same line. Hydra has a list of its own
of what it does not call; `subprocess.Popen` is on it, `os.mkdir` is not.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any

import hydra.core.plugins
import hydra.utils
from omegaconf import DictConfig, OmegaConf

from litconv.config import targets
from litconv.config.composed import allowed_packages, key_of

PACKAGES = (
    *("hydra_plugins", "hydra._internal.core_plugins", "hydra.experimental.callbacks"),
    "optuna.samplers",  # what hydra/sweeper/sampler chooses from
)


@contextmanager
def held_to_the_rule() -> Iterator[None]:
    """Inside, Hydra builds what the rule allows and nothing else."""
    plugins = hydra.core.plugins.Plugins
    places = [
        (hydra.utils, "instantiate", lambda node: (f"hydra.callbacks.{key_of(node).rpartition('.')[2]}", node)),
        (plugins, "instantiate_sweeper", lambda config: ("hydra.sweeper", config.hydra.sweeper)),
        (plugins, "instantiate_launcher", lambda config: ("hydra.launcher", config.hydra.launcher)),
    ]
    with ExitStack() as stack:
        for owner, name, part_of in places:
            stack.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, checked(getattr(owner, name), part_of))
        yield


def checked(build: Callable[..., Any], part_of: Callable[[DictConfig], tuple[str, Any]]) -> Callable[..., Any]:
    """The same function for what may be built."""

    @wraps(build)
    def call(*positional: Any, **named: Any) -> Any:
        configs = [value for value in (*positional, *named.values()) if isinstance(value, DictConfig)]
        for key, part in map(part_of, configs):
            require(key, part)
        return build(*positional, **named)

    return call


def require(key: str, part: Any) -> None:
    """Refuse what it names at any depth, interpolations resolved as Hydra resolves them."""
    if isinstance(part, DictConfig):
        allowed = [*PACKAGES, *allowed_packages(part)]
        targets.check_nested(OmegaConf.to_container(part, resolve=True), allowed, key)
