"""What is wrong with arguments as they are written, before Hydra reads them: it would say it in its own words, or not at all."""

import re
from collections.abc import Sequence

from litconv.config.sweep_name import check_sweep_name
from litconv.errors import ConfigError

FLAGS = {  # Hydra's own
    *(
        "--hydra-help",
        "--version",
        "--cfg",
        "-c",
        "--resolve",
        "--package",
        "-p",
        "--run",
        "-r",
        "--multirun",
        "-m",
        "--info",
    ),
    *("-i", "--shell-completion", "-sc", "--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd"),
    "--experimental-rerun",
}
NOT_TAKEN = {  # whether they are installed or not: under them a status would not be true (docs/sweeps.md)
    "hydra/launcher=submitit_slurm": "litconv has a launcher of its own for Slurm; write hydra/launcher=slurm",
    "hydra/launcher=submitit_local": "this machine's launcher is hydra/launcher=local, the default; leave it out",
}


def check_written(arguments: Sequence[str]) -> None:
    for argument in arguments:
        if argument.startswith("-") and argument.partition("=")[0] not in FLAGS:
            key = argument.lstrip("-")
            raise ConfigError(f"{argument}: no such flag; keys have no dashes: {key if '=' in key else f'{key}=VALUE'}")
        if re.fullmatch(r"logger=\[(.*,)?\s*null\s*(,.*)?\]", argument):
            raise ConfigError(f"{argument}: null is no logger; logger=csv logs to metrics.csv alone")
        if argument in NOT_TAKEN:
            raise ConfigError(f"{argument}: {NOT_TAKEN[argument]}")
        if argument.startswith("sweep="):
            check_sweep_name(argument.removeprefix("sweep="))
