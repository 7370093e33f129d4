"""Where jobs run: at most n_jobs at a time, each with its share of the cores, or with a slot on a GPU that is free."""

import os
import subprocess
from dataclasses import dataclass, field

from litconv.errors import ConfigError

MANY = 8  # jobs at once on CPUs, at most, if nobody says more: beyond that they wait for memory rather than for cores


def visible_gpus() -> list[str]:
    """What CUDA_VISIBLE_DEVICES may say; asked of the driver's tool, since asking CUDA would spoil every fork."""
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [gpu.strip() for gpu in visible.split(",") if gpu.strip() not in ("", "-1", "NoDevFiles")]
    command = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.split()
    except (OSError, subprocess.SubprocessError):  # no such tool, no driver: no GPU
        return []


def on_gpus(accelerator: str, gpus: list[str]) -> bool:
    return bool(gpus) and accelerator in ("auto", "gpu", "cuda")


def wanted_gpus(devices: int | str | list[int], there: int) -> int | list[int]:
    """As Lightning reads `trainer.devices`: how many GPUs (2, "2", -1, auto) or which ones ([0, 1], "0,1", "0,")."""
    if devices in ("auto", "-1", -1):
        return there
    try:
        if isinstance(devices, list):
            wanted = [int(index) for index in devices]
        elif "," in str(devices):
            wanted = [int(index) for index in devices.split(",") if index.strip()]
        else:
            wanted = int(devices)
    except (TypeError, ValueError):
        raise ConfigError(
            f"trainer.devices={devices} is neither a number of devices, nor indices such as [0,1], nor auto"
        ) from None
    is_there = 1 <= wanted <= there if isinstance(wanted, int) else wanted and all(0 <= i < there for i in wanted)
    if not is_there:
        last = f", with indices 0 to {there - 1}" if there > 1 else ", with index 0"
        raise ConfigError(f"trainer.devices={devices} is not there; this machine has {there} GPUs{last}")
    return wanted


@dataclass
class Place:
    """One job's: None for `gpus` leaves CUDA_VISIBLE_DEVICES as it is."""

    gpus: list[str] | None
    threads: int

    def environment(self) -> dict[str, str]:
        visible = {} if self.gpus is None else {"CUDA_VISIBLE_DEVICES": ",".join(self.gpus)}
        # What the user has set stands.
        threads = {} if "OMP_NUM_THREADS" in os.environ else {"OMP_NUM_THREADS": str(self.threads)}
        return visible | threads


@dataclass
class Slots:
    """`n_jobs=-1`: a job for each core (at most 8), and as many on GPUs as these have slots."""

    n_jobs: int
    slots_per_gpu: int
    gpus: list[str]
    cores: int
    points: int  # of the sweep: fewer than slots share the cores among them
    taken: dict[int, list[str] | None] = field(default_factory=dict)  # by job

    def take(self, job: int, accelerator: str, devices: int | str | list[int]) -> Place | None:
        """A place for this job, None while there is none."""
        if self.n_jobs > 0 and len(self.taken) >= self.n_jobs:
            return None
        if not on_gpus(accelerator, self.gpus):
            if self.n_jobs < 0 and sum(gpus is None for gpus in self.taken.values()) >= min(self.cores, MANY):
                return None
            self.taken[job] = None
            return Place(None, self.threads(min(self.cores, MANY)))
        wanted = wanted_gpus(devices, len(self.gpus))
        gpus = self.free_gpus(wanted)
        if gpus is None:
            return None
        self.taken[job] = gpus
        whole = isinstance(wanted, list)  # by index, so that the indices must keep their meaning
        return Place(None if whole else gpus, self.threads(len(self.gpus) * self.slots_per_gpu))

    def free_gpus(self, wanted: int | list[int]) -> list[str] | None:
        """One device: the slot of the GPU that has most of them free. Several, or by index: GPUs of their own."""
        used = {gpu: sum(gpu in (gpus or []) for gpus in self.taken.values()) for gpu in self.gpus}
        if wanted == 1:
            gpu = min(self.gpus, key=used.__getitem__)
            return [gpu] if used[gpu] < self.slots_per_gpu else None
        if isinstance(wanted, list):
            chosen = [self.gpus[index] for index in wanted]
            return chosen if not any(used[gpu] for gpu in chosen) else None
        free = [gpu for gpu in self.gpus if not used[gpu]]
        return free[:wanted] if len(free) >= wanted else None

    def give_back(self, job: int) -> None:
        del self.taken[job]

    def threads(self, at_once: int) -> int:
        at_once = self.n_jobs if self.n_jobs > 0 else at_once
        return max(1, self.cores // max(1, min(at_once, self.points)))
