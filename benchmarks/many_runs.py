"""Eight seeds of one small network on a CPU, in four ways: python benchmarks/many_runs.py

Prints Markdown: seconds of training steps ÷ those of one process that trains one seed after the other on all threads;
medians over rounds in which every way has its turn. Start-up is left out: a sweep's jobs are forked from a process that has
imported everything. `batched`: all seeds in one program, by torch.func.vmap over stacked weights, whose convolutions
become grouped ones; every seed has images of its own.
"""

import argparse
import os
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from statistics import median, quantiles

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap

from litconv import build
from litconv.config import composed as config
from litconv.config.quiet import quiet
from litconv.device import describe

SEEDS = 8
LR = 0.01


def network(conv: str, depth: int, seed: int) -> nn.Module:
    return build.model(config.compose([f"backbone.depth={depth}", f"conv={conv}", f"seed={seed}"]), 3, 10).train()


def batch(size: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(size, 3, 32, 32, generator=generator), torch.randint(10, (size,), generator=generator)


class Lone:
    """One seed: a plain training step."""

    def __init__(self, conv: str, depth: int, size: int, seed: int) -> None:
        self.model, (self.x, self.y) = network(conv, depth, seed), batch(size, seed)
        self.optimizer = torch.optim.SGD(self.model.parameters(), LR, fused=True)

    def step(self) -> None:
        self.optimizer.zero_grad()
        F.cross_entropy(self.model(self.x), self.y).backward()
        self.optimizer.step()


class Batched:
    """All seeds at once."""

    def __init__(self, conv: str, depth: int, size: int) -> None:
        models = [network(conv, depth, seed) for seed in range(SEEDS)]
        self.parameters, self.buffers = stack_module_state(models)
        self.parameters = {name: value.detach() for name, value in self.parameters.items()}
        self.x, self.y = (torch.stack(part) for part in zip(*(batch(size, s) for s in range(SEEDS)), strict=True))
        model = models[0]

        def loss(parameters: dict, buffers: dict, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return F.cross_entropy(functional_call(model, (parameters, buffers), (x,)), y)

        self.gradients = vmap(grad(loss))

    def step(self) -> None:
        found = self.gradients(self.parameters, self.buffers, self.x, self.y)
        values = list(self.parameters.values())
        torch._foreach_add_(values, [found[name] for name in self.parameters], alpha=-LR)


def one_after_another(runs: list[Lone], threads: int, steps: int) -> Callable[[], None]:
    def call() -> None:
        torch.set_num_threads(threads)
        for run in runs:
            for _ in range(steps):
                run.step()

    return call


def work(told: Connection, conv: str, depth: int, size: int, seeds: list[int], steps: int) -> None:
    """A process of its own with one thread: trains its seeds whenever it is told to."""
    call = one_after_another([Lone(conv, depth, size, seed) for seed in seeds], 1, steps)
    while told.recv():
        call()
        told.send(None)


def at_once(pipes: list[Connection]) -> Callable[[], None]:
    def call() -> None:
        for pipe in pipes:
            pipe.send(True)
        for pipe in pipes:
            pipe.recv()

    return call


def seconds(call: Callable[[], None]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conv", default="standard")
    parser.add_argument("--depth", type=int, default=20, help="of the ResNet")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=2, help="of each seed in a round")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    given = parser.parse_args()
    quiet()
    shape, threads = (given.conv, given.depth, given.batch), given.processes
    lone = [Lone(*shape, seed) for seed in range(SEEDS)]
    batched = Batched(*shape)
    context = get_context("spawn")
    shares = [list(range(SEEDS))[first::threads] for first in range(threads)]
    pipes = []
    for share in shares:
        ours, theirs = context.Pipe()
        context.Process(target=work, args=(theirs, *shape, share, given.steps), daemon=True).start()
        pipes.append(ours)

    def all_batched() -> None:
        torch.set_num_threads(threads)
        for _ in range(given.steps):
            batched.step()

    ways = {
        f"one after another, {threads} threads": one_after_another(lone, threads, given.steps),
        "one after another, 1 thread": one_after_another(lone, 1, given.steps),
        f"{threads} processes, 1 thread each": at_once(pipes),
        f"batched in one program, {threads} threads": all_batched,
    }
    for call in ways.values():
        call()  # warm
    rounds = [[seconds(call) for call in ways.values()] for _ in range(given.rounds)]
    for pipe in pipes:
        pipe.send(False)
    torch.set_num_threads(threads)
    print(
        f"{describe(torch.device('cpu'))}, torch {torch.__version__}, {SEEDS} seeds of ResNet-{given.depth} "
        f"(conv={given.conv}), batch {given.batch}, {given.rounds} rounds, `python benchmarks/many_runs.py`\n"
    )
    print("| way | time ÷ the first's | the middle half of rounds |\n| --- | --- | --- |")
    for number, name in enumerate(ways):
        ratios = [times[number] / times[0] for times in rounds]
        low, _, high = quantiles(ratios, n=4)
        print(f"| {name} | {median(ratios):.2f} | {low:.2f} to {high:.2f} |")


if __name__ == "__main__":
    main()
