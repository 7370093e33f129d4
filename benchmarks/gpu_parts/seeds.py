"""Seeds of one network at once in the slots of one GPU ÷ one seed alone: a sweep's whole time, and images a second."""

import os
import subprocess
import time
from pathlib import Path
from typing import Any

from gpu_parts.commands import images_of, network, summary, train
from gpu_parts.part import Report, Setting
from litconv import build
from litconv.config import composed
from litconv.run.asked import Asked
from litconv.sweep.gpu_memory import PROCESS_BYTES, step_bytes

TITLE, MPS = "Seeds at once", "NVIDIA's MPS"


def run(setting: Setting, report: Report) -> None:
    data, _ = images_of(setting)
    seeds, epochs = (2, 1) if setting.quick else (8, 4)
    common = ["-m", *data, *network(setting), f"epochs={epochs}", "cost.latency.enabled=false"]
    common += ["trainer.precision=bf16-mixed"] * (not setting.quick)
    report.head(TITLE, ("sweep", "seconds", "images a second, together", "memory of the GPU in use, MiB"))
    pipe = Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY", "/tmp/nvidia-mps"), "control")
    report.fact(MPS, "runs" if pipe.exists() else "does not run")
    taken, speeds, found, used = {}, {}, {}, {}
    for name, count in {"alone": 1, "at once": seeds}.items():
        slots = [f"slots_per_gpu={count}"] if not setting.quick else [f"n_jobs={count}"]
        sweep = name.replace(" ", "-")
        began = time.monotonic()
        process = train(setting, *common, f"seed=range({count})", *slots, f"sweep={sweep}")
        used[name] = most_in_use(process, setting)
        taken[name] = time.monotonic() - began
        found[name] = runs_of(setting.folder / "sweeps" / sweep)
        speeds[name] = sum(run.get("train/images_per_second", 0.0) for run in found[name].values())
        done = [run.get("status") for run in found[name].values()]
        complete = process.returncode == 0 and done == ["completed"] * count
        report.check(f"{name}: all complete", complete, done)
        report.row(TITLE, f"{count} {name}", f"{taken[name]:.1f}", f"{speeds[name]:.0f}", used[name] or "not known")
        if not complete:  # the rest would compare nothing
            return
    ratio, factor = taken["at once"] / taken["alone"], speeds["at once"] / max(speeds["alone"], 1e-9)
    report.fact("seconds of all ÷ of one", ratio)
    report.fact("images a second of all ÷ of one", factor)
    report.row(TITLE, f"÷; MPS {report.facts[MPS]}", f"{ratio:.2f}", f"{factor:.2f}", "")
    accuracies = [found[name].get(0, {}).get("val/accuracy", -1.0) for name in found]
    most = 0.0 if setting.quick else 0.08  # a GPU adds up gradients in no fixed order
    difference = abs(accuracies[0] - accuracies[1])
    report.check("seed 0 is the same alone and among others", difference <= most, f"val/accuracy {accuracies}")
    if setting.quick:
        report.skip("together they are faster than one after the other", "no GPU")
    else:
        report.check("together they are faster than one after the other", ratio < seeds, f"{ratio:.2f} of {seeds}")
        counted = held_at_least([*data, *network(setting), "trainer.precision=bf16-mixed"]) / 2**20
        held = used["at once"] / seeds
        said = f"{counted:.0f} MiB counted before, {held:.0f} MiB held by each of {seeds}"
        report.check("a job holds what is counted before it starts", not used["at once"] or held >= counted, said)


def held_at_least(overrides: list[str]) -> int:
    """Bytes of a job, by which `slots_per_gpu` is refused."""
    config = composed.compose(overrides)
    return PROCESS_BYTES + step_bytes(Asked.of(config), build.data(config).problem)


def runs_of(sweep: Path) -> dict[int, dict[str, Any]]:
    """Seed → summary."""
    found = [summary(path.parent) for path in sorted(sweep.glob("*/summary.json"))]
    return {run["seed"]: run for run in found if "seed" in run}


def most_in_use(process: subprocess.Popen, setting: Setting) -> int:
    """MiB of the whole GPU, while the sweep runs; 0 where nobody says."""
    command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0"]
    most = 0
    while process.poll() is None:
        if not setting.quick:
            try:
                said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
                most = max(most, int(said.split()[0]))
            except (OSError, subprocess.SubprocessError, ValueError, IndexError):
                process.wait()
                return 0
        time.sleep(0.2)
    return most
