"""Training beside other work, with one thread, with all and with those that `threads=auto` chooses: python benchmarks/load.py

The default run's network, data and batch, everything between two steps included; three processes, one for each setting, train
it in turns of some steps, on an idle machine, beside one and beside two processes that compute without
end. For each load the three begin anew, so that auto's figures contain its first, measuring steps. Seconds by the clock
of all steps but the first, without validation. Prints Markdown: images a second; in brackets seconds ÷ those of the fastest
setting, of all turns and of the median turn, which what else runs on the machine for a while disturbs less.
"""

import argparse
import multiprocessing
import os
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import NamedTuple

import pytorch_lightning as pl
import torch

from litconv import build
from litconv.callbacks.threads import Threads
from litconv.config.command_line import quiet
from litconv.config.composed import compose
from litconv.device import describe
from litconv.prepare.threads import computing_with, most

BATCH = 32
LOADS = {"idle": 0, "beside one busy process": 1, "beside two": 2}
PROCESSES = multiprocessing.get_context("spawn")


class Turn(NamedTuple):
    """What a process reports when its turn is over."""

    seconds: float
    threads: int  # chosen
    changes: int


class Turns(pl.Callback):
    """Trains when it is told to, `length` steps at a time."""

    def __init__(self, pipe: Connection, length: int, threads: Threads) -> None:
        self.pipe, self.length, self.threads = pipe, length, threads

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: object, outputs: object, batch: object, index: int
    ) -> None:
        if index % self.length:
            return
        if index:
            facts = self.threads.facts()
            seconds = time.perf_counter() - self.began
            self.pipe.send(Turn(seconds, facts["train/threads"], facts["train/threads_changes"]))
        self.pipe.recv()
        self.threads.go_on()  # what it waited is no step's time
        self.began = time.perf_counter()


def train(threads: str, turns: int, length: int, pipe: Connection) -> None:
    quiet()
    steps = turns * length + 1
    overrides = [
        f"threads={threads}",
        "trainer=cpu",
        "epochs=1",
        f"data.n_train={steps * BATCH}",
        "data.cache_dir=null",
    ]
    config = compose([*overrides, f"data.batch_size={BATCH}", "+trainer.limit_val_batches=1"])
    with tempfile.TemporaryDirectory() as folder, computing_with(config.threads):
        pl.seed_everything(config.seed, verbose=False)
        data = build.data(config)
        data.prepare_data()
        data.setup("fit")
        own = build.callbacks(config, Path(folder))
        (chooser,) = (callback for callback in own if isinstance(callback, Threads))
        trainer = build.trainer(config, [*own, Turns(pipe, length, chooser)])
        trainer.fit(build.task(config, data), data)


def compute() -> None:
    while True:
        sum(range(10_000))


def measure(settings: list[str], busy: int, turns: int, length: int) -> dict[str, list[Turn]]:
    """Of each setting all its turns, beside so many busy processes."""
    pipes = {}
    for threads in settings:
        pipes[threads], its = PROCESSES.Pipe()
        PROCESSES.Process(target=train, args=(threads, turns, length, its)).start()
        its.close()
    time.sleep(20)  # they import, make their data and take their first step, each in its own time
    others = [PROCESSES.Process(target=compute, daemon=True) for _ in range(busy)]
    for other in others:
        other.start()
    time.sleep(1)
    found: dict[str, list[Turn]] = {threads: [] for threads in settings}
    for number in range(turns):
        for threads in settings[number % len(settings) :] + settings[: number % len(settings)]:
            pipes[threads].send(None)
            found[threads].append(pipes[threads].recv())
    for other in others:
        other.kill()
    for pipe in pipes.values():
        pipe.send(None)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=15, help="of each setting, beside each load")
    parser.add_argument("--steps", type=int, default=10, help="of a turn")
    options = parser.parse_args()
    numbers = sorted({1, most()})
    settings = [*map(str, numbers), "auto"]
    steps, load = options.turns * options.steps, os.getloadavg()[0]
    print(
        f"{describe(torch.device('cpu'))}, torch {torch.__version__}, {steps} steps of each, load average {load:.1f} before, "
        "`python benchmarks/load.py`\n"
    )
    columns = [*(f"`threads={threads}`" for threads in settings), "auto's last choice, changes"]
    print(f"| images a second (seconds ÷ the fastest's: all, median turn) | {' | '.join(columns)} |")
    print("| --- " * (len(columns) + 1) + "|")
    for name, busy in LOADS.items():
        found = measure(settings, busy, options.turns, options.steps)
        seconds = [[turn.seconds for turn in turns] for turns in found.values()]
        best, best_turn = min(map(sum, seconds)), min(map(median, seconds))
        cells = [f"{steps * BATCH / sum(s):.0f} ({sum(s) / best:.2f}, {median(s) / best_turn:.2f})" for s in seconds]
        last = found["auto"][-1]
        print(f"| {name} | {' | '.join(cells)} | {last.threads}, {last.changes} |", flush=True)


if __name__ == "__main__":
    main()
