"""python kill_during_writes.py HOW FOLDER KILLS …: processes that write one checkpoint over and over, killed at random moments.

Prints as JSON how many kills left a checkpoint that cannot be read, and how many came in the middle of a write, a line for
each HOW FOLDER KILLS. HOW is `litconv`, or `lightning` for the CheckpointIO that Lightning has by itself. Torch is imported
once and the processes are forked.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO

from litconv import files as atomic
from litconv.run.checkpoints import AtomicCheckpoints


def write_for_ever(writer, path: Path, started: int) -> None:
    weights = torch.frombuffer(bytearray(os.urandom(2**22)), dtype=torch.float32)  # 4 MiB, and no torch operation
    for epoch in range(10**9):
        writer.save_checkpoint({"epoch": epoch, "state_dict": {"weights": weights}}, path)
        if epoch == 0:
            os.write(started, b".")


def killed_once(writer, path: Path, wait_seconds: float | None) -> None:
    """After so many seconds, or as soon as a write is seen."""
    reader, started = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            write_for_ever(writer, path, started)
        finally:
            os._exit(1)
    os.read(reader, 1)  # the first write is whole
    if wait_seconds is not None:
        time.sleep(wait_seconds)
    else:
        whole, patience = path.stat().st_size, time.monotonic() + 1
        while path.stat().st_size == whole and not unfinished(path) and time.monotonic() < patience:
            pass
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    os.close(reader)
    os.close(started)


def unfinished(path: Path) -> list[Path]:
    return list(path.parent.glob(f".*{atomic.UNFINISHED}"))


def main(how: str, folder: str, kills: str) -> None:
    writer = {"litconv": AtomicCheckpoints, "lightning": TorchCheckpointIO}[how]()
    path, at_least = Path(folder) / "last.ckpt", int(kills)
    done = unreadable = amid = 0
    chance = random.Random(0)
    while done < at_least or (
        done < 20 * at_least and not amid + unreadable
    ):  # on a busy machine few come amid a write
        killed_once(writer, path, chance.uniform(0, 0.03) if done % 2 else None)
        done += 1
        amid += bool(unfinished(path))
        try:
            found = torch.load(path, weights_only=True)
            unreadable += found["state_dict"]["weights"].shape != (2**20,)
        except Exception:
            unreadable += 1
        atomic.remove_unfinished(path.parent)
    print(json.dumps({"unreadable": unreadable, "amid": amid, "left": os.listdir(path.parent)}))  # noqa: PTH208


if __name__ == "__main__":
    for number in range(1, len(sys.argv), 3):
        main(*sys.argv[number : number + 3])
