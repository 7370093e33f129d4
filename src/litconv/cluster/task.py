"""One task of a batch, on its node: python -m litconv.cluster.task FOLDER NUMBER

It is the local launcher's command with the task's points, so that all that holds of a sweep on one machine holds here: equal
points once, what is completed is left, what was cut short goes on from its last epoch. A task that is started again, on
whatever node, therefore needs to be told nothing.

Slurm requeues: of its own accord after `scontrol requeue`, a pre-emption and the loss of a node, and because this asks for
it (`scontrol requeue`) when the warning of a near time limit, SIGUSR1, has come and the runs have been interrupted. SIGTERM
reaches the runs without help, and what to do then is decided by who sent it.
"""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from litconv.cluster import slurm
from litconv.cluster.batch import Batch
from litconv.config.environment import TASK
from litconv.config.spelling import quoted
from litconv.run import state
from litconv.sweep.parenthood import die_with_parent


@dataclass
class Task:
    batch: Batch
    number: int
    warned: bool = field(default=False, init=False)  # of a near time limit

    def run(self) -> int:
        """The exit status of the launch."""
        restarted = bool(self.batch.starts(self.number))
        with self.batch.begun(self.number).open("a") as file:
            file.write(f"{state.host()} {time.time():.0f}\n")
        before = self.progress()
        signal.signal(signal.SIGTERM, lambda *_: None)  # the launch has it as well, and this waits for it
        signal.signal(slurm.WARNING, self.warn)
        environment = {TASK: slurm.task_number(os.environ), **os.environ}  # Ray's is told beforehand
        environment.pop("HYDRA_FULL_ERROR", None)  # the submitting command's own
        # If this is killed, the runs are interrupted rather than left behind.
        dies = partial(die_with_parent, signal.SIGTERM)
        self.launch = subprocess.Popen(self.command(restarted), env=environment, preexec_fn=dies)
        status = self.launch.wait()
        if self.warned and status != 0:
            self.requeue(self.progress() > before)
        return status if status >= 0 else 128 - status

    def command(self, restarted: bool) -> list[str]:
        rerun = [f"rerun={self.batch.restarts_rerun}"] if restarted else []
        is_alone = self.batch.nodes == 1
        return [
            *([] if is_alone else self.srun()),
            *self.batch.script,
            "-m",
            f"hydra/launcher={'local' if is_alone else 'basic'}",  # basic: the run is this very process
            "hydra/sweeper=listed",
            f"hydra.sweeper.file={quoted(str(self.batch.points_file(self.number)))}",
            "hydra.sweeper.records=false",
            *self.batch.options,
            *rerun,
        ]

    def srun(self) -> list[str]:
        """What starts the processes of one run on all nodes of the task."""
        cpus = os.environ.get("SLURM_CPUS_PER_TASK")  # which srun does not take over from its job
        return [
            "srun",
            f"--nodes={self.batch.nodes}",
            f"--ntasks-per-node={self.batch.per_node}",
            *([f"--cpus-per-task={cpus}"] if cpus else []),
            "--kill-on-bad-exit=1",
        ]

    def warn(self, *_: object) -> None:
        self.warned = True
        print("the time limit is near: the runs are interrupted, and the task is requeued", flush=True)
        self.launch.terminate()

    def progress(self) -> int:
        """How many epochs of its points are done, and how many points."""
        runs = [self.batch.sweep / name for name in self.batch.tasks[self.number]]
        return sum(state.epochs_done(run) + (state.status(run) == "completed") for run in runs)

    def requeue(self, has_progressed: bool) -> None:
        if not has_progressed:
            print(
                "error: not one epoch fits into the time limit, so this task is not requeued; give it more "
                "(hydra.launcher.timeout_min), or make an epoch shorter",
                flush=True,
            )
            return
        try:
            slurm.requeue(slurm.task_number(os.environ))
        except slurm.SlurmError as error:
            print(f"error: not requeued ({error}); give the sweep's command again", flush=True)


if __name__ == "__main__":
    place, number = Path(sys.argv[1]), int(sys.argv[2])
    sys.exit(Task(Batch.read(place), number).run())
