"""A Trainer that tests, and leaves nothing behind."""

import pytorch_lightning as pl

from litconv.build.processes import alone


def tester(accelerator: str, precision: str) -> pl.Trainer:
    """In one process; it prints, logs and saves nothing."""
    return pl.Trainer(
        accelerator=accelerator,
        devices=1,
        plugins=alone(),
        precision=precision,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
