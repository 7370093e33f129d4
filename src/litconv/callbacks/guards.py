"""What a training must not do unseen: swallow a signal, or wait for a metric that nobody logs."""

import pytorch_lightning as pl

from litconv import signals
from litconv.errors import ConfigError


class Interruptions(pl.Callback):
    """Puts the run's own signal handlers back where Lightning has installed others, and raises what was swallowed."""

    def on_sanity_check_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        signals.of_run.reinstall()

    on_train_start = on_validation_start = on_test_start = on_sanity_check_start

    def on_train_batch_start(self, *unused: object) -> None:
        signals.of_run.check()


class Monitors(pl.Callback):
    """Refuses a callback whose `monitor` the validation does not log, by the one batch that is validated beforehand.

    What training logs (train/…, lr) is not known by then and is taken on trust.
    """

    def on_sanity_check_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        logged = set(trainer.callback_metrics)
        for callback in trainer.callbacks:
            monitor = getattr(callback, "monitor", None)
            if monitor is not None and monitor not in logged and monitor != "lr" and not monitor.startswith("train/"):
                of_task = monitor == pl_module.monitor
                who = (
                    f"task.monitor={monitor[4:]}" if of_task else f"{type(callback).__name__} monitors {monitor}, which"
                )
                raise ConfigError(f"{who} is never logged; logged are {', '.join(sorted(logged))}, and train/…")
