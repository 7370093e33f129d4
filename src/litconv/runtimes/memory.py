"""How much memory a process needs that does nothing but run a file: Python, numpy, the runtime, the network, its activations."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import litconv
from litconv.errors import ExportError
from litconv.runtimes import alone


def peak_memory_bytes(runtime: str, path: Path, threads: int, shape: Sequence[int]) -> int | None:
    """Of a fresh process: the largest resident set until three batches of `shape` have run. None where the system does not
    say (Linux does)."""
    if not alone.STATUS.exists():
        return None
    source = str(Path(litconv.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([source, os.environ.get("PYTHONPATH", "")])}
    arguments = [sys.executable, "-m", alone.__name__, runtime, str(path), str(threads), *map(str, shape)]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise ExportError(f"{runtime} cannot run {path.name} in a process of its own: {said[:200]}")
    return 1024 * int(done.stdout.split()[-1])
