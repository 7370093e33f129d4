"""What grows with what: python benchmarks/growth.py [--only model,image,images,runs,sweep]

Each table doubles one thing and fits the exponent e of cost ~ size^e by least squares on logarithms: 1 is linear, 0 is
constant. CPU time, one thread, medians over rounds in which the sizes take turns. Of the model: its MACs (ResNet-8, by
width); of an image: its pixels; of the set: its images (32×32, hard links to a few PNG files); of a comparison and a
sweep: the runs, planned, read and compared but not trained. `sweep`, which is not among the default ones and takes ten minutes,
makes sweeps of up to 10,000 finished runs and gives the commands that look at them.
"""

import argparse
import contextlib
import gc
import io
import pickle
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import finished_sweeps
import numpy as np
import torch
from PIL import Image
from ways import train_step

from litconv import build
from litconv.config import composed as config
from litconv.config import grid
from litconv.config.quiet import quiet
from litconv.cost.counter import count
from litconv.cost.memory import peak_bytes
from litconv.data.image_folder import ImageFolder
from litconv.data.loader import Arrays, InMemoryLoader
from litconv.optim import optimizer_for
from litconv.prepare.points import survey
from litconv.run.checkpoints import AtomicCheckpoints
from litconv.sweep.plan import plan

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
CPU = torch.device("cpu")
Call = Callable[[], object]
Figures = dict[str, list[float]]  # name of a cost → its figure at each size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(TABLES)[:-1], help=", ".join(TABLES))
    options = parser.parse_args()
    torch.set_num_threads(1)
    quiet()
    gc.freeze()  # as a sweep's server does: what is imported is not searched again for garbage
    for name in options.only:
        with tempfile.TemporaryDirectory(prefix="litconv-growth-") as folder:
            TABLES[name](Path(folder), options.rounds)


def seconds(call: Call) -> float:
    started = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        call()
    return time.process_time() - started


def in_turns(calls: dict[str, list[Call]], rounds: int) -> Figures:
    """Median CPU seconds of each call; the lists run over the sizes."""
    found: dict[str, list[list[float]]] = {name: [[] for _ in row] for name, row in calls.items()}
    for number in range(-1, rounds):  # the first warms up
        for name, row in calls.items():
            for size, call in enumerate(row):
                used = seconds(call)
                if number >= 0:
                    found[name][size].append(used)
    return {name: [statistics.median(values) for values in row] for name, row in found.items()}


def show(size: str, sizes: list[float], figures: Figures) -> None:
    names = [name if name.endswith("MB") else f"{name}, s" for name in figures]
    print(f"| {size} | {' | '.join(names)} |\n| ---: |{' ---: |' * len(figures)}")
    for index, value in enumerate(sizes):
        print(f"| {value:,} | {' | '.join(f'{row[index]:.3g}' for row in figures.values())} |")
    for what, begin in (("exponent", 0), ("of the last step", -2)):
        exponents = [np.polyfit(np.log(sizes[begin:]), np.log(row[begin:]), 1)[0] for row in figures.values()]
        print(f"| {what} | {' | '.join(f'**{e:.2f}**' for e in exponents)} |")
    print(flush=True)


def step(side: int, batch: int, *overrides: str) -> tuple[torch.nn.Module, torch.optim.Optimizer, Call]:
    """A network, its optimiser, a training step."""
    settings = config.compose(list(overrides))
    model = build.model(settings, 3, 10).train()
    optimizer = optimizer_for(model, build.part(settings.optim))
    x = torch.randn(batch, 3, side, side).contiguous(memory_format=torch.channels_last)
    y = torch.arange(batch) % 10
    return model, optimizer, lambda: train_step(model, optimizer, x, y)


def of_model(folder: Path, rounds: int) -> None:
    steps = [step(32, 16, f"width={width}") for width in (0.5, 1, 2, 4, 8)]
    counts = [count(model, 3, (32, 32)) for model, _, _ in steps]

    def save(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
        state = {"state_dict": model.state_dict(), "optimizer_states": [optimizer.state_dict()]}
        AtomicCheckpoints().save_checkpoint(state, folder / f"{id(model)}.ckpt")

    calls = {
        "training step of 16 images": [call for _, _, call in steps],
        "counting the cost": [lambda m=model: count(m, 3, (32, 32)) for model, _, _ in steps],
        "a checkpoint": [lambda m=model, o=optimizer: save(m, o) for model, optimizer, _ in steps],
    }
    figures = in_turns(calls, rounds)
    figures["peak of a step, MB"] = [peak_bytes(call, CPU) / 2**20 for _, _, call in steps]
    figures["a checkpoint, MB"] = [(folder / f"{id(model)}.ckpt").stat().st_size / 2**20 for model, _, _ in steps]
    show("MACs of an image", [found.macs for found in counts], figures)
    checkpoints = {name: figures[name] for name in figures if "checkpoint" in name}
    show("params", [found.params for found in counts], checkpoints)


def of_image(folder: Path, rounds: int) -> None:
    sides, batch = (32, 64, 128, 256), 8
    steps = [step(side, batch) for side in sides]
    rng = np.random.default_rng(0)
    loaders, files = [], []
    for side in sides:
        images = torch.from_numpy(rng.integers(0, 256, (64, 3, side, side), dtype=np.uint8))
        data = ImageFolder(root=str(a_set(folder / f"{side}", 64, side, "jpg")), batch_size=batch)
        data.setup()
        arrays = Arrays(images, torch.zeros(64, dtype=torch.int64))
        loaders.append(InMemoryLoader(arrays, data.augmentation(), 64, train=True))
        files.append(data._files(folder / f"{side}" / "train", ""))
    calls = {
        f"training step of {batch} images": [call for _, _, call in steps],
        "a batch of 64 from memory": [lambda own=loader: list(own) for loader in loaders],
        "64 JPEG files decoded": [own.decode for own in files],
        "counting the cost": [lambda m=m, s=s: count(m, 3, (s, s)) for s, (m, _, _) in zip(sides, steps, strict=True)],
    }
    figures = in_turns(calls, rounds)
    figures["peak of a step, MB"] = [peak_bytes(call, CPU) / 2**20 for _, _, call in steps]
    show("pixels of an image", [side**2 for side in sides], figures)


def of_images(folder: Path, rounds: int) -> None:
    sizes = [2_000, 8_000, 32_000]
    roots = [a_set(folder / str(size), size, 32, "png") for size in sizes]

    def loaded(root: Path, cache: Path) -> ImageFolder:
        data = ImageFolder(root=str(root), cache_dir=str(cache))
        data.setup()
        return data

    def python_megabytes(call: Call) -> float:
        tracemalloc.start()
        call()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak / 2**20

    cache = folder / "cache"
    first = [seconds(lambda own=root: loaded(own, cache)) for root in roots]
    loaders = [loaded(root, cache).train_dataloader() for root in roots]
    calls = {
        "set-up from the cache": [lambda own=root: loaded(own, cache) for root in roots],
        "an epoch's batches": [lambda own=loader: [None for _ in own] for loader in loaders],
    }
    figures = {"first set-up: decoding": first} | in_turns(calls, rounds)
    kept = [path.stat().st_size for path in cache.rglob("images.npy")]
    figures["on disk, MB"] = [size * 0.9 * 3 * 32**2 / 2**20 for size in sizes]
    assert max(kept) / 2**20 > figures["on disk, MB"][-1] * 0.99
    figures["set-up, of its own memory, MB"] = [python_megabytes(lambda own=root: loaded(own, cache)) for root in roots]
    show("images", sizes, figures)


def a_set(root: Path, images: int, side: int, kind: str) -> Path:
    """Ten classes; every image is a hard link to one of ten files."""
    rng = np.random.default_rng(0)
    for label in range(10):
        folder = root / "train" / f"class{label}"
        folder.mkdir(parents=True)
        first = folder / f"0.{kind}"
        coarse = Image.fromarray(rng.integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8))
        coarse.resize((side, side), Image.Resampling.BICUBIC).save(first)
        for number in range(1, images // 10):
            (folder / f"{number}.{kind}").hardlink_to(first)
    return root


def of_runs(folder: Path, rounds: int) -> None:
    from litconv.compare import analyse, load
    from litconv.compare.report import write_report
    from made_runs import OPERATORS, make_run

    operators, widths = list(OPERATORS)[:8], (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
    grids = {8: (2, 1, 4), 64: (8, 1, 8), 512: (8, 8, 8)}  # runs → operators, widths, seeds
    rng = np.random.default_rng(0)
    for runs, (convs, wide, seeds) in grids.items():
        for conv in operators[:convs]:
            for width in widths[:wide]:
                for seed in range(seeds):
                    score = OPERATORS[conv][4] - 0.02 * width + float(rng.normal(0, 0.004))
                    make_run(folder, conv, seed, min(score, 1.0), sweep=str(runs), config={"width": width})

    def report(runs: int) -> None:
        found = load(folder / "sweeps" / str(runs))
        write_report(analyse(found, str(runs)), found, folder / f"page{runs}", ["python"], 0)

    def composed(runs: int, kind: str = "train") -> list:
        swept = {"conv": operators, "width": widths[: runs // len(operators)]}
        points = [f"{key}={','.join(map(str, values))}" for key, values in swept.items()]
        points += [f"output_dir={folder}"] if kind == "train" else []
        return [point for _, point in grid.points(points, kind)]

    def planned(points: list) -> None:
        checked: set[str] = set()
        assert not any(plan(point, checked).error for point in points)

    sizes, once = list(grids), rounds // 3
    reports = in_turns({"comparison: read, analysed, written": [lambda n=n: report(n) for n in sizes]}, once)
    reports["its page, MB"] = [(folder / f"page{n}" / "index.html").stat().st_size / 2**20 for n in sizes]
    show("runs", sizes, reports)

    fewer = [runs for runs in sizes if runs <= 64]
    points = {runs: composed(runs) for runs in fewer}
    models = {runs: composed(runs, "cost") for runs in fewer}
    show("runs", fewer, in_turns(
        {
            "composed by Hydra": [lambda n=n: composed(n) for n in fewer],
            "planned": [lambda n=n: planned(points[n]) for n in fewer],
            "sent to the planner": [lambda n=n: pickle.loads(pickle.dumps(points[n])) for n in fewer],
            "costs of `scripts/cost.py`": [lambda n=n: [survey(p) for p in models[n]] for n in fewer],
        },
        once,
    ))  # fmt: skip


def of_sweep(folder: Path, rounds: int) -> None:
    finished_sweeps.table(folder)


TABLES = {"model": of_model, "image": of_image, "images": of_images, "runs": of_runs, "sweep": of_sweep}

if __name__ == "__main__":
    main()
