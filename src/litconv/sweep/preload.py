"""What the fork server imports before it forks: everything that a run needs, and nothing but imports.

A child that is forked after a tensor operation hangs in its first parallel region, and one forked after a CUDA query
has no GPU. So there is no tensor, no model, no wandb.setup here; a test counts the server's threads.
"""

import atexit
import gc
import importlib
import os
import pkgutil
import signal
import sys
from contextlib import suppress

from litconv.cli import quiet
from litconv.sweep.parenthood import die_with_parent

LIBRARIES = ("torchvision", "pytorch_lightning", "wandb", "torchmetrics", "fvcore.nn", "hydra")
# What wandb imports late, where it is there, in wandb.init and for a table: two seconds of a job.
LATE = (
    "opentelemetry.exporter.otlp.proto.http._log_exporter",
    "opentelemetry.exporter.otlp.proto.http.metric_exporter",
    "pandas",
    "requests",
    "torch.utils.serialization.config",
    "wandb._analytics",
    "wandb.apis.public",
    "wandb.sdk.artifacts._internal_artifact",
    "wandb.sdk.launch.inputs.internal",
)
PACKAGES = ("backbones", "callbacks", "conv", "cost", "data", "heads", "tasks", "upsample")
MODULES = ("checks", "init", "loggers", "model", "optim", "run_folder", "summary", "sweep.job", "sweep.plan")


def import_everything() -> None:
    quiet()
    for library in LIBRARIES:
        importlib.import_module(library)
    for module in LATE:
        with suppress(ImportError):
            importlib.import_module(module)
    for name in PACKAGES:
        package = importlib.import_module(f"litconv.{name}")
        for module in pkgutil.iter_modules(package.__path__, f"litconv.{name}."):
            importlib.import_module(module.name)
    for name in MODULES:
        importlib.import_module(f"litconv.{name}")


if sys.argv[:1] == ["-c"]:  # as multiprocessing starts its fork server
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal or a scheduler: the launcher tells its jobs itself
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    die_with_parent(signal.SIGKILL)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # it starts its threads when NumPy is imported
    import_everything()
    atexit.register(os._exit, 0)  # frozen objects are not torn down, of which some libraries complain
    gc.collect()
    gc.freeze()  # a child's collector leaves these objects alone, and so the pages that it shares with the server
