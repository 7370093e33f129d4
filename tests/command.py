"""Runs train.py and the scripts in this process, as `python train.py …` would."""

import importlib
import os
import sys
from pathlib import Path
from unittest import mock

from hydra._internal.hydra import Hydra

from litconv.config import command_line as cli

ROOT = Path(__file__).resolve().parents[1]
# A shapes run of a second: enough to go through everything.
TINY = (
    "++data.n_train=64",
    "++data.n_val=32",
    "++data.n_test=32",
    "data.batch_size=16",
    "width=0.5",
    "epochs=1",
    "trainer.accelerator=cpu",
    "cost.latency.enabled=false",
)


def command(*arguments: str, module: str = "train", full_error: bool = False) -> int:
    """The exit status; what was printed is in pytest's capsys. `full_error`: as under HYDRA_FULL_ERROR=1."""
    sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]
    environment = {**os.environ, "HYDRA_FULL_ERROR": str(int(full_error))}
    try:
        script = importlib.import_module(module)
        with (
            mock.patch.object(sys, "argv", [f"{module}.py", *arguments]),
            mock.patch.dict(os.environ, environment, clear=True),
            # It composes everything once more only to ask hydra.mode, which nothing here sets: -m decides.
            mock.patch.object(Hydra, "get_mode", return_value=None),
        ):
            return cli.command_line(script.main, module)
    finally:
        del sys.path[:2]
