"""A callback that ends a run at its first step, for benchmarks/startup.py."""

import os
from pathlib import Path

import pytorch_lightning as pl
from processes import FOUND, ROOT, seconds_below


class End(pl.Callback):
    """Writes what all of the benchmark's processes have used until then."""

    def on_train_batch_end(self, *unused: object) -> None:
        Path(os.environ[FOUND]).write_text(str(seconds_below(int(os.environ[ROOT]))))
        os._exit(0)
