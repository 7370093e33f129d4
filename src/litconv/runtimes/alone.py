"""A process that opens a file, runs it and says how much memory it came to.

python -m litconv.runtimes.alone RUNTIME FILE THREADS N C H W
"""

import re
import sys
from pathlib import Path

import numpy as np

from litconv.runtimes import opened

CALLS = 3
STATUS = Path("/proc/self/status")


def main(runtime: str, path: str, threads: str, *shape: str) -> None:
    sizes = [int(size) for size in shape]
    session = opened(runtime, path, int(threads), sizes[0])
    images = np.ones(sizes, np.float32)
    for _ in range(CALLS):
        session(images)
    print(most_kib())


def most_kib() -> int:
    """The largest resident set of this process so far."""
    return int(re.search(r"^VmHWM:\s+(\d+) kB", STATUS.read_text(), re.MULTILINE)[1])


if __name__ == "__main__":
    main(*sys.argv[1:])
