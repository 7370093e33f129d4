"""The data is read: first the seeds, so that nothing it draws depends on what came before; then whether there is enough of it."""

import pytorch_lightning as pl

from litconv.data.module import DataModule
from litconv.device import set_matmul_precision
from litconv.errors import ConfigError, DataError
from litconv.run.asked import Asked


def read(asked: Asked, data: DataModule, trainer: pl.Trainer) -> None:
    """A fault of the data comes from here, before a logger starts and before the first step."""
    pl.seed_everything(asked.config.seed, workers=True, verbose=False)
    set_matmul_precision(asked.config.matmul_precision)
    data.prepare_data()
    data.setup("fit")
    check_amounts(trainer, data)


def check_amounts(trainer: pl.Trainer, data: DataModule) -> None:
    """Refuse what leaves nothing to train on, to choose a checkpoint by, or to test; Lightning would go through it."""
    loaders = {"train": data.train_dataloader, "val": data.val_dataloader, "test": data.test_dataloader}
    for split, loader in loaders.items():
        batches, limit = len(loader()), getattr(trainer, f"limit_{split}_batches")
        if not batches:
            raise DataError(f"the {split} split has no batch; check the data set and data.batch_size")
        if not (limit if isinstance(limit, int) else int(limit * batches)):
            raise ConfigError(
                f"trainer.limit_{split}_batches={limit} of {batches} batches leaves none; use a whole number, at least 1"
            )
    batches, interval = (
        len(loaders["train"]()),
        getattr(trainer, "val_check_interval", None),
    )  # Lightning has none for a time
    if type(interval) is int and trainer.check_val_every_n_epoch is not None and interval > batches:
        raise ConfigError(
            f"trainer.val_check_interval={interval} is more than the {batches} batches of an epoch; set a smaller one, or "
            "trainer.check_val_every_n_epoch=null to count batches over epochs"
        )
