"""`cancel=true`: launches and runs of this machine are sent SIGTERM, the tasks of Slurm cancelled."""

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field

from litconv.cluster import slurm
from litconv.cluster.slurm import SlurmError
from litconv.cluster.status.seen import QUEUED, RUNNING, Seen
from litconv.cluster.status.survey import Survey
from litconv.errors import ConfigError
from litconv.run import state
from litconv.sweep.folders import asking

PASSES_ON = "local"  # the launcher that ends its runs as it is ended


@dataclass
class Cancelled:
    said: list[str] = field(default_factory=list)
    left: int = 0  # that this cannot reach

    def end(self, what: str, host: str, pid: int) -> None:
        try:
            if host != state.host():
                raise ProcessLookupError
            os.kill(pid, signal.SIGTERM)
        except (ProcessLookupError, PermissionError):
            self.left += 1
            self.said.append(f"{what} goes on; end it on {host}: kill {pid}")
        else:
            self.said.append(f"{what} has been sent SIGTERM")


def cancel(survey: Survey) -> Cancelled:
    if survey.duties.unanswered:
        raise ConfigError(
            f"cancel=true: Slurm does not answer ({survey.duties.unanswered}), so that nothing was cancelled"
        )
    if not survey.is_under_way:
        raise ConfigError(f"cancel=true: nothing of sweep={survey.sweep.name} runs or waits")
    done = Cancelled()
    for launch in survey.launches:  # first: one that waits for tasks would submit the next
        if launch.lives and not launch.task:
            done.end(f"the launch on {launch.place}", launch.host, launch.pid)
    for batch in survey.duties.live:
        try:
            slurm.cancel(batch.job)
            batch.cancelled.touch()
            done.said.append(f"job {batch.job} is cancelled")
        except SlurmError as error:
            done.left += 1
            done.said.append(f"job {batch.job} is not cancelled ({error})")
    for seen in by_themselves(survey):
        done.end(f"the run {seen.point.name}", seen.host, seen.pid)
    if len(done.said) > done.left:
        done.said.append(what_becomes(survey))
    return done


def by_themselves(survey: Survey) -> Iterator[Seen]:
    """What runs and does not end with its launch or its task."""
    launches = [launch for launch in survey.launches if launch.lives]
    with_launch = {name for launch in launches if launch.launcher == PASSES_ON for name in launch.names}
    processes = {(launch.host, launch.pid) for launch in launches}
    for seen in survey.points:
        own = seen.point.name not in with_launch and (seen.host, seen.pid) not in processes
        if seen.status == RUNNING and not seen.task and own:
            yield seen


def what_becomes(survey: Survey) -> str:
    running, queued = survey.counts[RUNNING], survey.counts[QUEUED]
    parts = []
    if running:
        parts.append(f"what runs ({running}) ends as interrupted, with the checkpoint of its last epoch")
    if queued:
        parts.append(f"what waits ({queued}) does not begin")
    becomes = "; ".join(parts) or "nothing had begun"
    return f"{becomes}. `{asking(survey.sweep)}` shows how it ends, and the command that goes on"
