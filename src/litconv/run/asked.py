"""One run as it was asked for: all that its command line decides, before anything is built.

Everything above `config/` takes this value instead of settings, choices, name and overrides one by one.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from litconv.config import composed, labels
from litconv.config.hydra_state import hydra_state, places
from litconv.run import naming
from litconv.run.arm_name import arm_name


@dataclass(frozen=True)
class Asked:
    config: DictConfig  # composed, resolved where it is read
    settings: dict[str, Any]  # the same as plain types, as config.yaml holds them
    choices: dict[str, str]  # group → what was chosen in it, by the name of its class' own yaml
    overrides: list[str]  # of the command line
    in_sweep: bool

    @classmethod
    def of(cls, config: DictConfig) -> "Asked":
        overrides, choices, in_sweep = hydra_state(config)
        written = [*places(config), *overrides]
        return cls(config, composed.plain(config), labels.by_class(config, choices), written, in_sweep)

    @cached_property
    def config_hash(self) -> str:
        return naming.config_hash(self.settings)

    @cached_property
    def arm_hash(self) -> str:
        """Equal for the seeds of one arm."""
        return naming.arm_hash(self.settings)

    def arm(self, matched_width: float | None = None) -> str:
        """The name of its arm for a person; `match=` finds the width later."""
        return arm_name(self.settings, self.choices, matched_width)

    @cached_property
    def name(self) -> str:
        return naming.run_name(self.settings, self.choices)

    @cached_property
    def folder(self) -> Path:
        return naming.run_folder(self.settings, self.name)

    @property
    def labels(self) -> list[str]:
        """What a logger tags the run with."""
        return [self.choices[group] for group in ("task", "data", "backbone", "conv")]

    def config_yaml(self, trained: DictConfig) -> str:
        """config.yaml of the run that trains `trained`: what was asked for, at the width and in the layout that were found."""
        settings = self.settings if trained is self.config else composed.plain(trained)
        return composed.as_yaml(settings, self.choices)
