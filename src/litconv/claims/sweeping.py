"""The sweep that trains what the claims need: train.py over the points of a file."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from litconv.config.environment import COMMAND_LINE
from litconv.config.places import commands
from litconv.files import write_whole


def sweep(points: Sequence[str], file: Path, options: Sequence[str]) -> int:
    """Train what is not trained yet; the exit status."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, "".join(f"{point}\n" for point in points).encode())
    environment = {key: value for key, value in os.environ.items() if key != COMMAND_LINE}  # it has one of its own
    listed = ["-m", "hydra/sweeper=listed", f"hydra.sweeper.file={file}"]
    process = subprocess.Popen([sys.executable, str(commands()["train"]), *listed, *options], env=environment)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # it has the signal too, and ends its jobs
            continue
