"""Says in the sweep's folder that this command is at it, whatever launches its jobs."""

from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from litconv.sweep.launches import OwnLaunch


class LaunchFile(Callback):
    """Hydra calls it when a multirun begins and when it has ended without an error."""

    def on_multirun_start(self, config: DictConfig, config_name: str | None = None, **_: Any) -> None:
        if config_name == "train":  # a table of costs trains nothing
            launcher = config.hydra.runtime.choices["hydra/launcher"]
            sweep = Path(config.output_dir, "sweeps", str(config.sweep))
            self.launch = OwnLaunch(sweep, str(launcher), str(config.rerun))

    def on_multirun_end(self, config: DictConfig, config_name: str | None = None, **_: Any) -> None:
        if config_name == "train":
            self.launch.end()
