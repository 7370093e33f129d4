"""`cancel=true`: the launches of this machine are sent SIGTERM, the tasks of Slurm cancelled."""

import os
import signal
from dataclasses import dataclass, field

from litconv.cluster import slurm
from litconv.cluster.slurm import SlurmError
from litconv.cluster.status.survey import QUEUED, RUNNING, Survey
from litconv.errors import ConfigError
from litconv.sweep.folders import asking


@dataclass
class Cancelled:
    said: list[str] = field(default_factory=list)
    left: int = 0  # that this cannot reach


def cancel(survey: Survey) -> Cancelled:
    """Launches first: one that waits for tasks would submit the next."""
    name = survey.sweep.name
    if survey.duties.unanswered:
        raise ConfigError(
            f"cancel=true: Slurm does not answer ({survey.duties.unanswered}), so that nothing was cancelled"
        )
    if not survey.is_under_way:
        raise ConfigError(f"cancel=true: nothing of sweep={name} runs or waits")
    done = Cancelled()
    running = [seen for seen in survey.points if seen.status == RUNNING]
    for launch in survey.launches:
        if not launch.lives or launch.task:
            continue
        if launch.is_here:
            os.kill(launch.pid, signal.SIGTERM)
            done.said.append(f"the launch on {launch.place} has been sent SIGTERM")
        else:
            done.left += 1
            done.said.append(f"the launch on {launch.place} goes on; end it there: kill {launch.pid}")
    for batch in survey.duties.live:
        try:
            slurm.cancel(batch.job)
            done.said.append(f"job {batch.job} is cancelled")
        except SlurmError as error:
            done.left += 1
            done.said.append(f"job {batch.job} is not cancelled ({error})")
    reached = {launch.host for launch in survey.launches if launch.lives}
    for seen in running:
        if not seen.task and seen.host not in reached:
            done.left += 1
            done.said.append(f"{seen.point.name} runs by itself on {seen.host}; end it there: kill {seen.pid}")
    if len(done.said) > done.left:
        done.said.append(what_becomes(survey))
    return done


def what_becomes(survey: Survey) -> str:
    running, queued = survey.counts[RUNNING], survey.counts[QUEUED]
    parts = []
    if running:
        parts.append(f"what runs ({running}) ends as interrupted, with the checkpoint of its last epoch")
    if queued:
        parts.append(f"what waits ({queued}) does not begin")
    becomes = "; ".join(parts) or "nothing had begun"
    return f"{becomes}. `{asking(survey.sweep)}` shows how it ends, and the command that goes on"
