"""What a point costs beside its training, here and on a cluster: python benchmarks/cluster_overhead.py [--ray]

Eight runs of about a second of training each, one after the other, wandb offline, no measured latencies: by the local
launcher, as eight tasks of Slurm, as one task of eight points, and with --ray the same two on Ray. Slurm is the toy cluster of
tests/cluster on this machine; its own waiting (a task begins when its scheduler looks again) is in the seconds, not in the CPU
time, and neither is the CPU time of Ray's own processes. The ways take turns, round after round; the table has the medians.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sweep_overhead import JOBS, ROOT, RUN, SEEDS

sys.path.insert(0, str(ROOT / "tests" / "cluster"))

from toy_slurm import ToySlurm

SWEEP = (*RUN, SEEDS, "n_jobs=1", "sweep=overhead")
SLURM = ("hydra/launcher=slurm", "hydra.launcher.array_parallelism=1")
RAY = {1: "a point", 8: "8 points"}
WAYS = {
    "local": (),
    "Slurm, a point a task": (*SLURM, "hydra.launcher.points_per_task=1"),
    "Slurm, 8 points a task": (*SLURM, "hydra.launcher.points_per_task=8"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ray", action="store_true", help="Ray as well; it must be installed")
    asked = parser.parse_args()
    ways = {**WAYS, **(ways_of_ray() if asked.ray else {})}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as folder:
        cluster = ToySlurm(Path(folder)).start()
        try:
            for _ in range(asked.rounds):
                for name, arguments in ways.items():
                    found[name].append(measured(arguments, cluster.environment))
        finally:
            cluster.stop()
    print(f"a point, over its training steps; medians of {asked.rounds} rounds in turns")
    for name, figures in found.items():
        wall, cpu = (statistics.median(column) for column in zip(*figures, strict=True))
        print(f"{name:<24}  {wall:5.2f} s by the clock  {cpu:5.2f} s of CPU")


def ways_of_ray() -> dict[str, tuple[str, ...]]:
    """On a node of one CPU, so that one task runs at a time; it is up beforehand, as the toy Slurm is."""
    from ray.cluster_utils import Cluster

    size = {"num_cpus": 1, "object_store_memory": 100_000_000, "include_dashboard": False}
    address = Cluster(initialize_head=True, head_node_args=size).address
    ray = ("hydra/launcher=ray", f"hydra.launcher.address={address}")
    return {f"Ray, {said} a task": (*ray, f"hydra.launcher.points_per_task={points}") for points, said in RAY.items()}


def measured(arguments: tuple[str, ...], environment: dict[str, str]) -> tuple[float, float]:
    """(seconds, CPU seconds) of a point, its training left out."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(ROOT / "train.py"), "-m", *SWEEP, *arguments, f"output_dir={folder}"]
        mark = f"LITCONV_MEASURED={folder}"
        environment = {**os.environ, **environment, "WANDB_MODE": "offline", "OMP_NUM_THREADS": "1"}
        environment |= dict([mark.split("=", 1)])
        started, cpu = time.perf_counter(), {}
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
        while process.poll() is None:
            look(mark, cpu)
            time.sleep(0.1)
        seconds = time.perf_counter() - started
        summaries = [json.loads(path.read_text()) for path in Path(folder).rglob("summary.json")]
    assert [summary["status"] for summary in summaries] == ["completed"] * JOBS, command
    training = sum(summary["train/seconds"] for summary in summaries)
    return (seconds - training) / JOBS, (sum(cpu.values()) - training) / JOBS


def look(mark: str, cpu: dict[str, float]) -> None:
    """The CPU seconds so far of each process that has this in its environment: those of Slurm are nobody's children."""
    for place in Path("/proc").iterdir():
        if not place.name.isdigit():
            continue
        try:
            if mark.encode() in (place / "environ").read_bytes():
                fields = (place / "stat").read_text().rpartition(")")[2].split()
                cpu[place.name] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except OSError:  # it has just ended
            continue


if __name__ == "__main__":
    main()
