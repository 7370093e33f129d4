"""CPU seconds of whole processes, for benchmarks on a shared machine."""

import os
import subprocess
import sys
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
ROOT, FOUND = (
    "LITCONV_BENCHMARK_ROOT",
    "LITCONV_BENCHMARK_FOUND",
)  # the benchmark's process; where the seconds are written


def seconds_below(root: int) -> float:
    """Of all processes that descend from this one, its own left out, those that have ended and were waited for included."""
    parents, seconds = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        pid = int(path.parent.name)
        parents[pid], seconds[pid] = int(fields[1]), sum(map(int, fields[11:15])) / TICKS

    def descends(pid: int) -> bool:
        parent = parents.get(pid, 0)
        return parent == root or (parent > 1 and descends(parent))

    return sum(used for pid, used in seconds.items() if descends(pid))


def seconds_of(command: list[str], status: int, directory: Path) -> float:
    """Of one command to its end, which must be this exit status."""
    child = subprocess.Popen(command, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, ended, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(ended)
    assert child.returncode == status, (command, child.returncode)
    return used.ru_utime + used.ru_stime


def seconds_to_first_step(command: list[str], directory: Path, folder: Path) -> float:
    """Of a run or a sweep, to the end of its first training step."""
    found = folder / "seconds"
    found.unlink(missing_ok=True)
    here = str(Path(__file__).parent)
    environment = {
        **os.environ,
        ROOT: str(os.getpid()),
        FOUND: str(found),
        "PYTHONPATH": os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    end = ["+callbacks.extra.end._target_=first_step.End", "allowed_packages=[first_step]"]
    done = subprocess.run([*command, *end], cwd=directory, env=environment, capture_output=True, text=True)
    assert found.exists(), done.stderr or done.stdout
    return float(found.read_text())


PYTHON = sys.executable
