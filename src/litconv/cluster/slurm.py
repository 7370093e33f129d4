"""Slurm's commands: submitting an array, asking for its tasks, cancelling, requeueing."""

import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

PATIENCE_SECONDS = 60
WARNING = signal.SIGUSR1  # that a time limit is near
NOT_SHARED = 78  # EX_CONFIG: the exit status of a task that does not see the sweep's folder
# As `squeue` names them, of tasks that are still to be reckoned with.
WAITING = ("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "CONFIGURING", "RESV_DEL_HOLD")
ENDING = (
    "COMPLETED",
    "CANCELLED",
    "FAILED",
    "TIMEOUT",
    "NODE_FAIL",
    "PREEMPTED",
    "BOOT_FAIL",
    "DEADLINE",
    "OUT_OF_MEMORY",
)


class SlurmError(Exception):
    """What one of its commands said."""


@dataclass(frozen=True)
class TaskState:
    state: str  # Slurm's word: PENDING, RUNNING, COMPLETING, …
    nodes: str = ""
    reason: str = ""  # why it waits
    left: str = ""  # of its time limit

    @property
    def waits(self) -> bool:
        return self.state in WAITING


def ask(*command: str) -> str:
    """What it prints."""
    try:
        # A session of its own: Ctrl-C is this command's affair, and must not cut sbatch off from its answer.
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, start_new_session=True)
    except FileNotFoundError:
        raise SlurmError(f"{command[0]} is not on the PATH") from None
    except subprocess.TimeoutExpired:
        raise SlurmError(f"{command[0]} did not answer within {PATIENCE_SECONDS} s") from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("Try ")]
        raise SlurmError(
            re.sub(r"^\w+: (error: )?", "", said[-1]) if said else f"{command[0]} ended with {done.returncode}"
        )
    return done.stdout


def submit(script: Path) -> str:
    """The number of the array."""
    return ask("sbatch", "--parsable", str(script)).strip().partition(";")[0]


def tasks(job: str) -> dict[int, TaskState]:
    """Those of the array that wait or run; of one that is over, or forgotten, none."""
    try:
        said = ask("squeue", "--noheader", "--array", f"--jobs={job}", "--format=%i|%T|%N|%L|%r")
    except SlurmError as error:
        if "Invalid job id" in str(error):  # Slurm forgets jobs some minutes after their end
            return {}
        raise
    found = {}
    for line in said.splitlines():
        number, state, nodes, left, reason = line.strip().split("|", 4)
        index = number.rpartition("_")[2]
        if index.isdigit() and state not in ENDING:
            found[int(index)] = TaskState(state, nodes, "" if reason == "None" else reason, left)
    return found


def cancel(job: str) -> None:
    ask("scancel", job)


def requeue(task: str) -> None:
    ask("scontrol", "requeue", task)


def end_of(job: str, index: int) -> tuple[str, str]:
    """Of a task that is over, Slurm's word for how, and where it ran, as long as Slurm remembers; empty otherwise."""
    try:
        said = ask("scontrol", "show", "job", f"{job}_{index}")
    except SlurmError:
        return "", ""
    state, node = (re.search(rf"\b{name}=(\S+)", said) for name in ("JobState", "NodeList"))
    return state[1] if state else "", "" if node is None or node[1] == "(null)" else node[1]


def task_number(environment: Mapping[str, str] = os.environ) -> str:
    """As its commands take it, 123_4, of the task in which this process runs."""
    array, index = environment.get("SLURM_ARRAY_JOB_ID"), environment.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{index}" if array and index else environment.get("SLURM_JOB_ID", "")


def directives(options: Mapping[str, str | int | None]) -> list[str]:
    """`#SBATCH` lines; None leaves an option out, "" is one without a value."""
    lines = []
    for name, value in options.items():
        if value is not None:
            lines.append(f"#SBATCH --{name}" + (f"={value}" if value != "" else ""))
    return lines


def script(options: Mapping[str, str | int | None], setup: Sequence[str], probe: Path, command: str) -> str:
    """`probe`: a file that every node must see."""
    missing = f" does not see {probe.parent}: the sweep's folder must lie where all nodes share it"
    refuse = f'echo "error: $(hostname)"{quote(missing)} >&2; exit {NOT_SHARED}'
    return "\n".join(
        [
            "#!/bin/bash",
            *directives(options),
            *setup,
            f"if [ ! -e {quote(str(probe))} ]; then {refuse}; fi",
            f"exec {command}",
            "",
        ]
    )
