"""`compile.enabled=true`: training steps run a program that torch.compile has made of the model.

Evaluation stays as it is, so that a checkpoint's figures are those that `scripts/evaluate.py` repeats, and so that no
incomplete batch asks for a program of its own. The model is compiled in place: names in checkpoints do not change.
Programs are kept between runs (`programs.py`). torch's compiler is imported late: it takes seconds.
"""

import logging
import os
import shutil
import sys
import time
from importlib.util import find_spec
from typing import Any

import pytorch_lightning as pl
import torch

from litconv.callbacks import programs
from litconv.errors import ConfigError

log = logging.getLogger(__name__)

SKIPPED = "compile/skipped_cuda_graphs"


def require(device: torch.device, mode: str) -> None:
    """Refuse what cannot be compiled for this device."""
    programs.keep()
    if mode == "reduce-overhead" and device.type != "cuda":
        raise ConfigError(
            f"compile.mode=reduce-overhead has no effect on {device.type}: it is CUDA graphs; use compile.mode=default"
        )
    if device.type == "cuda":
        missing = "" if find_spec("triton") else "triton is not installed"
    else:
        from torch.utils.cpp_extension import get_cxx_compiler

        compiler = get_cxx_compiler()
        missing = "" if shutil.which(compiler) else f"there is no C++ compiler ({compiler}; CXX names another)"
    if missing:
        raise ConfigError(f"compile.enabled=true cannot run here: {missing}; install it, or remove compile.enabled")


def failure(error: BaseException) -> str | None:
    """What the compiler says, in one line; None of an error that is not its own."""
    if "torch._dynamo" not in sys.modules:
        return None
    from torch._dynamo.exc import TorchDynamoException

    if not isinstance(error, TorchDynamoException):
        return None
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = next((line for line in lines if "error:" in line.lower()), lines[0] if lines else type(error).__name__)
    return f"compile.enabled=true: {said[:200]}; without compile.enabled it trains uncompiled"


class Compilation(pl.Callback):
    """Compiles the model before the first step, and counts what became of it."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.graphs = False  # CUDA graphs: launched as one
        self.seconds = 0.0
        self.counts: dict[str, int] = {}

    def facts(self) -> dict[str, Any]:
        """The keys of summary.json."""
        return {"compile/mode": self.mode, **self.counts, "compile/seconds": self.seconds}

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if stage != "fit":
            return
        self.graphs = self.mode != "default" and trainer.strategy.root_device.type == "cuda"
        logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # it would tell of CUDA
        programs.keep()
        os.environ.setdefault(
            "TORCHINDUCTOR_COMPILE_THREADS", str(torch.get_num_threads())
        )  # a sweep's jobs share the cores
        from torch._dynamo.callback import callback_handler
        from torch._dynamo.utils import counters

        torch.compiler.reset()  # of another run in this process
        counters.clear()
        callback_handler.register_start_callback(self.compiling)
        callback_handler.register_end_callback(self.compiled)
        pl_module.model.compile(options=programs.options(self.mode), dynamic=False)
        if trainer.is_global_zero:
            log.info("compiling the model: seconds if an equal one was compiled before, else a minute or so")

    def compiling(self, what: Any) -> None:
        self.started = time.perf_counter()

    def compiled(self, what: Any) -> None:
        self.seconds += time.perf_counter() - self.started

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, index: int) -> None:
        if self.graphs and index % trainer.accumulate_grad_batches == 0:
            torch.compiler.cudagraph_mark_step_begin()  # a CUDA graph may write over what it gave in the step before

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        torch.compiler.set_stance("force_eager")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        torch.compiler.set_stance("default")

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self.finish(pl_module)  # and nothing of what was left undone

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if stage == "fit" and self.finish(pl_module):
            self.warn()

    def finish(self, pl_module: pl.LightningModule) -> bool:
        """From here on the model runs as it was written; whether it did not before."""
        from torch._dynamo.callback import callback_handler
        from torch._dynamo.utils import counters

        if self.compiling not in callback_handler.start_callbacks:  # finished before, or never begun
            return False
        callback_handler.remove_start_callback(self.compiling)
        callback_handler.remove_end_callback(self.compiled)
        torch.compiler.set_stance("default")
        pl_module.model._compiled_call_impl = None  # nn.Module.compile has no public way back
        graphs, breaks = counters["stats"]["unique_graphs"], sum(counters["graph_break"].values())
        fallbacks = counters["frames"]["total"] - counters["frames"]["ok"]
        self.counts = {"compile/graphs": graphs, "compile/graph_breaks": breaks, "compile/fallbacks": fallbacks}
        if self.graphs:
            self.counts[SKIPPED] = counters["inductor"]["cudagraph_skips"]
        return True

    def warn(self) -> None:
        graphs, breaks, fallbacks, *_ = self.counts.values()
        if skipped := self.counts.get(SKIPPED):
            log.warning(
                "compile.mode=%s: %d of the compiled programs run without CUDA graphs, as in compile.mode=default; "
                "TORCH_LOGS=perf_hints says why",
                self.mode,
                skipped,
            )
        if breaks or fallbacks or not graphs:
            log.warning(
                "the model was compiled in part only: %d graphs, %d breaks between them, %d functions left as they are; "
                "TORCH_LOGS=graph_breaks,recompiles says where",
                graphs,
                breaks,
                fallbacks,
            )
