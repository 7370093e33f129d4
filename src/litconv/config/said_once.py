"""What all tasks of one srun would say alike is said by the first of them."""

import sys
import time

from litconv.config.slurm_step import Step

PATIENCE_SECONDS = 10.0


def tell_error(text: str) -> None:
    """On the terminal, as the last thing that this process does.

    A configuration that is wrong is wrong for all tasks of an srun. The others wait a moment before they speak:
    srun --kill-on-bad-exit=1 ends them as soon as the first has. What is wrong on one node alone is said there.
    """
    step = other_task()
    if step is not None:
        time.sleep(PATIENCE_SECONDS)
        text = f"task {step.task} of srun, on its node {step.node}: {text}"
    print(f"error: {text}", file=sys.stderr)


def tell_end(text: str) -> None:
    """What became of all tasks."""
    if other_task() is None:
        print(text, file=sys.stderr)


def other_task() -> Step | None:
    """The srun of which this process is a task, but not the first."""
    step = Step.here()
    return step if step is not None and step.task != 0 else None
