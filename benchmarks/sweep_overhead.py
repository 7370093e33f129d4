"""What a sweep costs beside its training: python benchmarks/sweep_overhead.py

Eight runs of about a second of training each, one after the other, with wandb offline and without measured latencies: by the
local launcher, by Hydra's basic launcher (all in one process), and by eight separate commands. Memory is the peak of a
job's process, except for the basic launcher: there it is what its one process holds when a job has ended. The machine
should be idle; of all columns CPU time, that of every process, suffers least where it is not.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from processes import seconds_below

ROOT = Path(__file__).resolve().parents[1]
JOBS = 8
RUN = (
    "trainer.accelerator=cpu",
    "data.n_train=512",
    "data.n_val=64",
    "data.n_test=64",
    "width=0.5",
    "epochs=2",
    "cost.latency.enabled=false",
)
SEEDS = f"seed={','.join(map(str, range(JOBS)))}"


def main() -> None:
    importing, _ = seconds([sys.executable, "-c", "import litconv.sweep.preload"], lambda pid: None)
    print(f"one import of all that a run needs: {importing:.1f} s\n")
    heads = (
        "seconds in all",
        "training",
        "over it, a job",
        "less one import",
        "CPU, a job",
        "memory, first job",
        "last job",
    )
    rows = [("", *heads)]
    for name, commands in {
        "hydra/launcher=local n_jobs=1": [("-m", SEEDS, "n_jobs=1")],
        "hydra/launcher=basic": [("-m", SEEDS, "hydra/launcher=basic")],
        "eight commands": [(f"seed={seed}",) for seed in range(JOBS)],
    }.items():
        rows.append(measured(name, commands, importing))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(map(str.rjust, row, widths)))


def measured(name: str, commands: list[tuple[str, ...]], importing: float) -> tuple[str, ...]:
    with tempfile.TemporaryDirectory() as folder:
        memory = Memory(Path(folder), one_process="basic" in name)
        total = cpu = 0.0
        for arguments in commands:
            wall, used = seconds(
                [sys.executable, str(ROOT / "train.py"), *arguments, *RUN, "sweep=overhead", f"output_dir={folder}"],
                memory.look,
            )
            total, cpu = total + wall, cpu + used
        summaries = [json.loads(path.read_text()) for path in Path(folder).rglob("summary.json")]
    assert [summary["status"] for summary in summaries] == ["completed"] * JOBS
    training = sum(summary["train/seconds"] for summary in summaries)
    first, *_, last = memory.of_jobs()
    over = total - training
    return (
        name, f"{total:.1f}", f"{training:.1f}", f"{over / JOBS:.2f} s", f"{(over - importing) / JOBS:.2f} s",
        f"{cpu / JOBS:.2f} s", f"{first} MB", f"{last} MB",
    )  # fmt: skip


def seconds(command: list[str], look: Callable[[int], None]) -> tuple[float, float]:
    """By the clock, and of CPU time."""
    environment = {**os.environ, "WANDB_MODE": "offline", "OMP_NUM_THREADS": "1"}
    started, used = time.perf_counter(), 0.0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    while process.poll() is None:
        look(process.pid)
        used = max(used, seconds_below(os.getpid()))
        time.sleep(0.05)
    assert process.returncode == 0, command
    return time.perf_counter() - started, used


class Memory:
    """Megabytes, looked at from outside, 20 times a second."""

    def __init__(self, folder: Path, one_process: bool) -> None:
        self.folder, self.one_process = folder, one_process
        self.peaks: dict[int, int] = {}  # by process
        self.after: list[int] = []  # in one process, as each job ends

    def look(self, pid: int) -> None:
        if self.one_process:
            if len(list(self.folder.rglob("summary.json"))) > len(self.after):
                self.after.append(megabytes(pid, "VmRSS:"))
            return
        # a job is a child of the fork server, or the command itself; wandb's own process is no job
        servers = [child for child in children(pid) if "forkserver" in command_of(child)]
        for job in [job for server in servers for job in children(server)] if servers else [pid]:
            self.peaks[job] = max(self.peaks.get(job, 0), megabytes(job, "VmHWM:"))

    def of_jobs(self) -> list[int]:
        return self.after if self.one_process else list(self.peaks.values())[-JOBS:]


def children(pid: int) -> list[int]:
    return [int(child) for child in read(f"/proc/{pid}/task/{pid}/children").split()]


def command_of(pid: int) -> str:
    return read(f"/proc/{pid}/cmdline")


def megabytes(pid: int, field: str) -> int:
    found = [line for line in read(f"/proc/{pid}/status").splitlines() if line.startswith(field)]
    return int(found[0].split()[1]) // 1024 if found else 0


def read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:  # it has ended
        return ""


if __name__ == "__main__":
    main()
