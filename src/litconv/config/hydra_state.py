"""What Hydra knows of a command line besides the configuration: overrides, choices, what is swept and by what."""

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from litconv.config import own_yamls


def own_part(config: DictConfig) -> DictConfig:
    """Hydra's, of what was composed here, or by hydra.main."""
    return config.hydra if "hydra" in config else HydraConfig.get()


def hydra_state(config: DictConfig) -> tuple[list[str], dict[str, str], bool]:
    """The overrides, the choice made in each group, and whether this is one point of a multirun."""
    if "choices" in config:  # the config.yaml of a run
        return [], dict(config.choices), False
    state = own_part(config)
    chosen = {k: v for k, v in state.runtime.choices.items() if v not in (None, "null") and not k.startswith("hydra/")}
    if isinstance(loggers := config.get("logger"), DictConfig):  # Hydra records no choice where there are several
        chosen["logger"] = ",".join(map(str, loggers))
    return list(state.overrides.task), chosen, str(state.mode).endswith("MULTIRUN")


def places(config: DictConfig) -> list[str]:
    """Where the user's own yamls lie, as the override that says it (`own_yamls`)."""
    if "choices" in config:  # the config.yaml of a run
        return []
    return [override for override in own_part(config).overrides.hydra if override.startswith(own_yamls.SEARCHPATH)]


def sweep_of(config: DictConfig) -> dict[str, str]:
    """What the recipe that was chosen sweeps in a multirun: key → its values, separated by commas."""
    params = OmegaConf.select(own_part(config), "sweeper.params") or {}
    return {str(key): str(values) for key, values in params.items()}


def launcher_reads(config: DictConfig, key: str) -> bool:
    """Whether what launches the jobs of a multirun takes this key up; other launchers have options of their own."""
    return f"${{{key}}}" in OmegaConf.to_container(own_part(config).launcher, resolve=False).values()


def sweeper_reads(config: DictConfig, key: str) -> bool:
    """The same of what spans a multirun's grid."""
    return f"${{{key}}}" in OmegaConf.to_container(own_part(config).sweeper, resolve=False).values()
