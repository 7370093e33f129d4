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
from collections.abc import Iterable, Iterator
from contextlib import suppress

import litconv
from litconv.config.quiet import quiet
from litconv.sweep.parenthood import die_with_parent, hold_signals

LIBRARIES = ("torchvision", "pytorch_lightning", "torchmetrics", "fvcore.nn", "hydra")
# wandb, where it is there, and what it imports late, in wandb.init and for a table: two seconds of a job.
LATE = (
    "wandb",
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
NOT_OF_A_RUN = ("compare",)


def import_everything() -> None:
    quiet()
    for library in LIBRARIES:
        importlib.import_module(library)
    for module in LATE:
        with suppress(ImportError):
            importlib.import_module(module)
    for name in modules("litconv", litconv.__path__):
        importlib.import_module(name)
    summary = sys.modules["litconv.run.summary"]
    summary.versions()  # of the code that was just imported; remembered
    summary.git_state()


def modules(package: str, path: Iterable[str]) -> Iterator[str]:
    for module in pkgutil.iter_modules(path):
        if module.name not in NOT_OF_A_RUN:
            yield f"{package}.{module.name}"
            if module.ispkg:
                yield from modules(f"{package}.{module.name}", [os.path.join(*path, module.name)])  # noqa: PTH118


if sys.argv[:1] == ["-c"]:  # as multiprocessing starts its fork server
    hold_signals()
    die_with_parent(signal.SIGKILL)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # it starts its threads when NumPy is imported
    import_everything()
    atexit.register(os._exit, 0)  # frozen objects are not torn down, of which some libraries complain
    gc.collect()
    gc.freeze()  # a child's collector leaves these objects alone, and so the pages that it shares with the server
