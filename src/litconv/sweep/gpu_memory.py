"""Whether as many jobs as a GPU has slots fit into its memory, as far as that is known before one has run: by what a training
step holds at least. What is refused cannot fit; what is not refused may still run out of memory."""

import subprocess
from collections.abc import Sequence

from litconv.data.problem import Problem
from litconv.errors import ConfigError
from litconv.run.asked import Asked

PROCESS_BYTES = 300 * 2**20  # CUDA's own, in each process, at least
GB = 10**9


def free_bytes(gpus: Sequence[str]) -> int | None:
    """Of the one that has least; None where the driver's tool does not say."""
    command = ["nvidia-smi", "--query-gpu=memory.free", "--format=csv,noheader,nounits", f"--id={','.join(gpus)}"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
        return min(int(line) * 2**20 for line in said.split())
    except (OSError, subprocess.SubprocessError, ValueError):  # a GPU that does not say: [N/A]
        return None


def check_slots(asked: Asked, problem: Problem, free: int) -> None:
    """Refuse more slots than can fit. A width that `match` has yet to find is not known here."""
    config = asked.config
    if config.slots_per_gpu == 1 or config.get("match") is not None:
        return
    needed = PROCESS_BYTES + step_bytes(asked, problem)
    fits = free // needed
    if fits < config.slots_per_gpu:
        fitting = f"{fits} fit{'s' * (fits == 1)}; set slots_per_gpu={fits}"
        raise ConfigError(
            f"slots_per_gpu={config.slots_per_gpu}: a job holds at least {needed / GB:.1f} GB on a GPU (a training step of "
            f"data.batch_size={problem.batch_size} in {config.trainer.precision}), and {free / GB:.1f} GB are free: "
            + (fitting if fits > 0 else "not one fits; set a smaller data.batch_size")
        )


def step_bytes(asked: Asked, problem: Problem) -> int:
    from litconv import build
    from litconv.cost.training_memory import training_bytes

    model = build.on_meta(asked.config, problem.in_channels, problem.num_classes)
    shape = (problem.batch_size, problem.in_channels, *problem.training_size)
    return training_bytes(model, build.part(asked.config.optim), shape, str(asked.config.trainer.precision))
