"""Tasks that start together on a home that they share, whose caches are empty: python benchmarks/shared_start.py

Each task is as on a host of its own: it has its own process ids and host name (`unshare`, Linux). Printed is how often
each thing was made, what that took, and whether all tasks have computed the same. `--kill` ends the whole host of the
first task that makes something, by SIGKILL, while it does. On a cluster, with a folder that its nodes share:

    srun -n 4 python benchmarks/shared_start.py --task --home FOLDER && python benchmarks/shared_start.py --told --home FOLDER
"""

import argparse
import hashlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve()
REPOSITORY = HERE.parents[1]
COUNTED = 'echo "$(uname -n) $*" >> "$LITCONV_BENCHMARK_MADE" && exec "$@"\n'
UNSHARED = ["unshare", "--map-root-user", "--uts", "--pid", "--fork", "--kill-child"]
ON_HOST = 'hostname "$0" && exec "$@"'
IMAGES = 15_000


def kernels() -> bytes:
    """Both libraries of C++: the deformable convolution's and that of batches."""
    import torch

    from litconv.conv.deform_kernels import cpp
    from litconv.conv.deformable import Deformable
    from litconv.data import fused

    assert not cpp.why_not(), cpp.why_not()
    assert fused.wait()
    torch.manual_seed(0)
    x = torch.randn(2, 8, 16, 16)
    return Deformable(8, 8, implementation="cpp")(x).detach().numpy().tobytes()


def data() -> bytes:
    """Images drawn once, in three entries of the cache."""
    from litconv.data import shapes

    draw = shapes.draw

    def counted(*arguments: object) -> tuple:
        tell("draws")
        return draw(*arguments)

    shapes.draw = counted
    made = shapes.Shapes(n_train=IMAGES, cache_dir="auto")
    made.setup()
    return b"".join(split.images.numpy().tobytes() for split in made._splits.values())


def programs() -> bytes:
    """What torch.compile makes of forward and backward of a small network."""
    import torch

    from litconv.callbacks import programs as kept

    kept.keep()
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU(), torch.nn.Flatten(1))
    model.compile(options=kept.options("default"), dynamic=False)
    model(torch.randn(4, 3, 16, 16)).square().mean().backward()
    return b"".join(parameter.grad.numpy().tobytes() for parameter in model.parameters())


PARTS: dict[str, Callable[[], bytes]] = {"kernels": kernels, "data": data, "programs": programs}


def tell(what: str) -> None:
    with Path(os.environ["LITCONV_BENCHMARK_MADE"]).open("a") as file:
        file.write(f"{os.uname().nodename} {what}\n")


def task(home: Path, number: int, tasks: int, parts: list[str]) -> None:
    make_folders(home)
    environment(home)
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch  # what all begin with

    torch.set_num_threads(1)
    (home / "ready" / str(number)).touch()
    while len(os.listdir(home / "ready")) < tasks:  # noqa: PTH208 names alone
        time.sleep(0.05)
    result = {"host": os.uname().nodename, "begun": time.time()}
    for part in parts:
        result[part] = hashlib.sha256(PARTS[part]()).hexdigest()
    result["seconds"] = time.time() - result["begun"]
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    result["cpu"] = sum(one.ru_utime + one.ru_stime for one in used)
    (home / "results" / f"{number}.json").write_text(json.dumps(result))


def make_folders(home: Path) -> None:
    for name in ("ready", "results", "cache"):
        (home / name).mkdir(parents=True, exist_ok=True)


def environment(home: Path) -> None:
    counted = home / f"counted.{os.uname().nodename}.sh"
    counted.write_text(COUNTED)
    for name in ("TORCH_EXTENSIONS_DIR", "LITCONV_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR"):
        os.environ.pop(name, None)
    os.environ |= {
        "XDG_CACHE_HOME": str(home / "cache"),
        "CXX": f"sh {counted} {os.environ.get('CXX', 'g++')}",
        "LITCONV_BENCHMARK_MADE": str(home / "made"),
    }


def told(home: Path, tasks: int, killed: list[str]) -> bool:
    """Whether each thing was made once, and all results are equal."""
    results = [json.loads(path.read_text()) for path in sorted((home / "results").glob("*.json"))]
    lines = [line.split() for line in (home / "made").read_text().splitlines()]
    outputs = Counter(re.sub(r"\.\w{6}$", "", words[words.index("-o") + 1]) for words in lines if "-o" in words)
    draws = sum(words[1] == "draws" for words in lines)
    hosts = Counter(words[0] for words in lines if "-o" in words or words[1] == "draws")
    print(
        f"{len(results)} of {tasks} tasks on {len({r['host'] for r in results})} hosts ended; killed: {killed or 'none'}"
    )
    print(f"outputs of the compiler: {len(outputs)}, made again: {sum(outputs.values()) - len(outputs)}")
    print(f"blocks of images drawn: {draws}; made by: {dict(hosts)}")
    equal = True
    for part in PARTS:
        found = {result[part] for result in results if part in result}
        equal &= len(found) <= 1
        if found:
            print(f"{part}: {'equal in all tasks' if len(found) == 1 else f'{len(found)} DIFFERENT RESULTS'}")
    if results:
        seconds, cpu = [r["seconds"] for r in results], [r["cpu"] for r in results]
        print(
            f"seconds to have all of it: {min(seconds):.1f} to {max(seconds):.1f}; CPU seconds of the tasks: {sum(cpu):.0f}"
        )
    left = [path for path in (home / "cache").rglob("*") if "unfinished" in path.name or path.name == "build"]
    print(f"left unfinished: {[str(path.relative_to(home)) for path in left] or 'nothing'}")
    return equal and len(results) == tasks - len(killed)


def together(home: Path, tasks: int, parts: list[str], kills: bool) -> bool:
    make_folders(home)
    (home / "made").touch()
    command = [sys.executable, str(HERE), "--task", "--home", str(home), "--processes", str(tasks), "--parts", *parts]
    running = {
        f"host{i}": subprocess.Popen(
            [*UNSHARED, "sh", "-c", ON_HOST, f"host{i}", *command, "--number", str(i)], cwd=REPOSITORY
        )
        for i in range(tasks)
    }
    killed = [killed_maker(home / "made", running)] if kills else []
    for process in running.values():
        process.wait()
    return told(home, tasks, killed)


def killed_maker(made: Path, running: dict[str, subprocess.Popen]) -> str:
    while not made.stat().st_size:
        time.sleep(0.02)
    time.sleep(0.5)  # it is in the middle of it
    host = made.read_text().split()[0]
    running[host].send_signal(signal.SIGKILL)  # and with it every process of its host
    return host


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=int(os.environ.get("SLURM_NTASKS", 16)))
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=[*PARTS])
    parser.add_argument("--home", type=Path, help="an empty folder; without it, a temporary one")
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--task", action="store_true", help="be one of the tasks")
    parser.add_argument("--told", action="store_true", help="tell what tasks have left in --home")
    parser.add_argument("--number", type=int, default=int(os.environ.get("SLURM_PROCID", 0)))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="litconv-shared-") as temporary:
        home = (given.home or Path(temporary)).resolve()
        if given.task:
            task(home, given.number, given.processes, given.parts)
        elif given.told:
            sys.exit(not told(home, len(list((home / "ready").iterdir())), []))
        else:
            sys.exit(not together(home, given.processes, given.parts, given.kill))


if __name__ == "__main__":
    main()
