"""Training beside other work, with one thread, with all and with those that `threads=auto` chooses: python benchmarks/load.py

The default run's network, data and batch, everything between two steps included; some processes for each setting train
it in turns of some steps, on an idle machine, beside one and beside two processes that compute without
end. Several for each, since two processes that do exactly the same differ by 5 to 10 % here, by where their memory lies.
For each load they begin anew, so that auto's figures contain its first, measuring steps. Seconds by the clock
of all steps but the first, without validation. Prints Markdown: images a second; in brackets seconds ÷ those of the fastest
setting, of all turns and of the median turn, which what else runs on the machine for a while disturbs less; and the spread of
one setting's processes.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import mean, median
from typing import NamedTuple

import pytorch_lightning as pl
import torch

from litconv import build
from litconv.callbacks.threads import Threads
from litconv.config.composed import compose
from litconv.config.quiet import quiet
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


def measure(settings: list[str], busy: int, turns: int, length: int) -> list[list[Turn]]:
    """Of a process for each of these settings all its turns, beside so many busy processes."""
    pipes = []
    for threads in settings:
        ours, its = PROCESSES.Pipe()
        PROCESSES.Process(target=train, args=(threads, turns, length, its)).start()
        its.close()
        pipes.append(ours)
    time.sleep(7 * len(settings))  # they import, make their data and take their first step, each in its own time
    others = [PROCESSES.Process(target=compute, daemon=True) for _ in range(busy)]
    for other in others:
        other.start()
    time.sleep(1)
    found: list[list[Turn]] = [[] for _ in settings]
    for number in range(turns):
        for process in range(len(settings)):
            process = (process + number) % len(settings)
            pipes[process].send(None)
            found[process].append(pipes[process].recv())
    for other in others:
        other.kill()
    for pipe in pipes:
        pipe.send(None)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=15, help="of each setting, beside each load")
    parser.add_argument("--steps", type=int, default=10, help="of a turn")
    parser.add_argument("--processes", type=int, default=3, help="for each setting")
    options = parser.parse_args()
    settings = [*map(str, sorted({1, most()})), "auto"]
    steps, load = options.turns * options.steps, os.getloadavg()[0]
    print(
        f"{describe(torch.device('cpu'))}, torch {torch.__version__}, {options.processes} processes of {steps} steps for each, "
        f"load average {load:.1f} before, `{' '.join(['python benchmarks/load.py', *sys.argv[1:]])}`\n"
    )
    columns = [*(f"`threads={threads}`" for threads in settings), "auto's last choices, changes"]
    print(
        f"| images a second (seconds ÷ the fastest's: all, median turn; slowest ÷ fastest process) | {' | '.join(columns)} |"
    )
    print("| --- " * (len(columns) + 1) + "|")
    for name, busy in LOADS.items():
        found = measure(settings * options.processes, busy, options.turns, options.steps)
        processes = {threads: found[number :: len(settings)] for number, threads in enumerate(settings)}
        last = [turns[-1] for turns in processes["auto"]]
        choices = f"{', '.join(str(t.threads) for t in last)}; {', '.join(str(t.changes) for t in last)}"
        print(f"| {name} | {' | '.join(cells(processes, steps))} | {choices} |", flush=True)


def cells(processes: dict[str, list[list[Turn]]], steps: int) -> list[str]:
    """One for each setting."""
    sums = {threads: [sum(turn.seconds for turn in turns) for turns in own] for threads, own in processes.items()}
    whole = {threads: mean(own) for threads, own in sums.items()}
    turn = {t: median(turn.seconds for turns in own for turn in turns) for t, own in processes.items()}
    return [
        f"{steps * BATCH / whole[t]:.0f} ({whole[t] / min(whole.values()):.2f}, {turn[t] / min(turn.values()):.2f}; "
        f"{max(sums[t]) / min(sums[t]):.2f})"
        for t in processes
    ]


if __name__ == "__main__":
    main()
