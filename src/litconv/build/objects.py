"""A node of the configuration with a `_target_` → the object that it describes, or one line on why it cannot be built."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from litconv.config import targets
from litconv.config.composed import allowed_packages, key_of
from litconv.errors import ConfigError, DataError


def target(node: DictConfig) -> Callable:
    """The class or function itself."""
    return targets.resolve(node["_target_"], allowed_packages(node), key_of(node))


def part(node: DictConfig, **more: Any) -> Any:
    """The object, or for `_partial_` its factory; `more` are arguments that are objects themselves."""
    targets.check_nested(OmegaConf.to_container(node, resolve=True), allowed_packages(node), key_of(node))
    with as_config_error(key_of(node)):
        if node.get("_partial_"):
            return instantiate(node, _convert_="all")
        return instantiate(node, _partial_=True, _convert_="all")(**more)


def partial_of(node: DictConfig, key: str) -> Callable[..., Any]:
    """Its class with the node's options bound; nothing is constructed. `key` is where the node stands."""
    targets.check_nested(OmegaConf.to_container(node, resolve=True), allowed_packages(node), key)
    return instantiate(node, _partial_=True, _convert_="all")


@contextmanager
def as_config_error(key: str = "") -> Iterator[None]:
    """Turn a constructor's complaint into a ConfigError; `key` is where its arguments stand."""
    try:
        yield
    except (DataError, ConfigError):
        raise
    except InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, DataError | ConfigError):
            raise cause from error
        raise _config_error(cause or error, key) from error
    except Exception as error:
        of_user = isinstance(error, ValueError | TypeError | ArithmeticError | ImportError)
        if not _of_lightning(error) and not of_user:
            raise
        raise _config_error(error, key) from error


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


def _config_error(error: BaseException, key: str) -> ConfigError:
    where = "trainer" if _of_lightning(error) else key if isinstance(error, TypeError) else ""
    return ConfigError(f"{where}: {error}" if where else str(error))
