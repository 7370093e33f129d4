"""The config.yaml of a run that somebody else may have made."""

from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from litconv.config.composed import load
from litconv.errors import ConfigError

RUN_KEYS = (  # of a run's config.yaml, without which it cannot be rebuilt
    *("seed", "memory_format", "choices.data", "choices.task", "choices.head", "trainer._target_"),
    *(f"{part}._target_" for part in ("conv", "backbone", "head", "task", "data", "optim", "schedule")),
)


def load_run(path: Path, allowed: list[str]) -> DictConfig:
    """What may be built is said by `allowed`, not by the file."""
    try:
        config = load(path)
        is_mapping = isinstance(config, DictConfig)
        missing = [key for key in RUN_KEYS if not is_mapping or OmegaConf.select(config, key) is None]
    except (OSError, ValueError, YAMLError, OmegaConfBaseException) as error:
        raise ConfigError(f"{path} cannot be read ({' '.join(str(error).split())[:120]})") from error
    if missing:
        raise ConfigError(f"{path} is not the config.yaml of a run: it has no {', '.join(missing)}")
    config.allowed_packages = allowed
    return config
