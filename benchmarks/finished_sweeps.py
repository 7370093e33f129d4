"""Sweeps of thousands of finished runs, made in a minute from one that was trained: for benchmarks/growth.py --only sweep.

Each run's folder has the files that a real one has, and the name and hashes that the launch itself would give it, so that
the same command finds it completed. Figures are made up.
"""

import copy
import ctypes
import dataclasses
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import hydra
import yaml
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from litconv.config import composed
from litconv.config.environment import COMMAND_LINE
from litconv.run import summary
from litconv.run.asked import Asked
from litconv.sweep.memory import Memory
from litconv.sweep.points import SweepPoint, add

REPOSITORY = Path(__file__).resolve().parents[1]
CONVS = [
    "standard",
    "grouped",
    "dilated",
    "depthwise_separable",
    "bottleneck",
    "ghost",
    "deformable",
    "wavelet",
    "octave",
    "involution",
]
WIDTHS = [0.25 * step for step in range(1, 11)]
RATES = [0.01 * step for step in range(1, 11)]
GRIDS: dict[str, "Axes"] = {  # (arms × seeds) → what is swept
    "10 × 10": {"conv": CONVS, "seed": list(range(10))},
    "10 × 100": {"conv": CONVS, "seed": list(range(100))},
    "10 × 1,000": {"conv": CONVS, "seed": list(range(1000))},
    "100 × 100": {"conv": CONVS, "width": WIDTHS, "seed": list(range(100))},
    "1,000 × 10": {"conv": CONVS, "width": WIDTHS, "optim.lr": RATES, "seed": list(range(10))},
}
SUBREAPER = 36  # of prctl: what a command leaves behind, its fork server, becomes this process's to wait for
OF_THE_NETWORK = ("cost/params", "cost/trainable_params", "cost/macs", "cost/flops", "cost/activations")
Axes = dict[str, list[Any]]  # key → its values
Path_ = tuple[str, ...]  # of a value in a configuration


class Template:
    """A run that was trained, of which the others are copies."""

    def __init__(self, run: Path) -> None:
        self.summary = json.loads((run / "summary.json").read_text())
        self.files = {path.name: path for path in run.iterdir() if path.is_file()}
        self.checkpoints = list((run / "checkpoints").iterdir())

    def copied(self, asked: Asked, score: float, size: float) -> None:
        """The same run as if it had been `asked` for: its network `size` times as large."""
        folder = asked.folder
        (folder / "checkpoints").mkdir(parents=True)
        for file in self.checkpoints:
            (folder / "checkpoints" / file.name).hardlink_to(file)
        for name, file in self.files.items():
            shutil.copyfile(file, folder / name)
        found = self.summary | summary.facts(asked) | {"val/accuracy": score, "test/accuracy": score}
        found |= {key: round(size * self.summary[key]) for key in OF_THE_NETWORK}
        (folder / "config.yaml").write_text(text({**asked.settings, "choices": asked.choices}))
        (folder / "summary.json").write_text(json.dumps(found, indent=2))


def text(config: dict[str, Any]) -> str:
    return yaml.dump(config, Dumper=yaml.CSafeDumper, sort_keys=False, default_flow_style=False)


def arguments(axes: Axes, fixed: list[str]) -> list[str]:
    """Of the command that trains it."""
    return ["-m", *(f"{key}={','.join(map(str, values))}" for key, values in axes.items()), *fixed]


def make(axes: Axes, fixed: list[str], template: Template) -> Iterator[tuple[Asked, list[str]]]:
    """Every point of the grid, as it was asked for, with its overrides. The first axis is composed by Hydra at each of its
    values, the others take their places there; the last is the seed."""
    random.seed(0)
    first, *others = axes
    for value in axes[first]:
        one = [f"{first}={value}", *(f"{key}={axes[key][0]}" for key in others), *fixed]
        asked = Asked.of(composed.compose([*one, "hydra.mode=MULTIRUN"]))
        places = {key: places_of(key, one, asked, axes[key][-1]) for key in others}
        for values in product(*(axes[key] for key in others)):
            settings = copy.deepcopy(asked.settings)
            for key, own in zip(others, values, strict=True):
                for place in places[key]:
                    put(settings, place, own)
            overrides = [f"{first}={value}", *(f"{k}={v}" for k, v in zip(others, values, strict=True)), *fixed]
            point = dataclasses.replace(asked, settings=settings, overrides=overrides)
            arm = random.Random(point.arm_hash)
            template.copied(point, min(1, 0.8 + 0.1 * arm.random() + random.gauss(0, 0.01)), 0.2 + arm.random())
            yield point, overrides


def places_of(key: str, overrides: list[str], asked: Asked, other: Any) -> list[Path_]:
    """Where in a configuration the value of this key stands, interpolations resolved."""
    changed = [f"{key}={other}" if override.startswith(f"{key}=") else override for override in overrides]
    return list(differing(asked.settings, composed.plain(composed.compose([*changed, "hydra.mode=MULTIRUN"]))))


def differing(one: Any, other: Any, path: Path_ = ()) -> Iterator[Path_]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in one:
            yield from differing(one[key], other[key], (*path, key))
    elif one != other:
        yield path


def put(settings: dict[str, Any], path: Path_, value: Any) -> None:
    for key in path[:-1]:
        settings = settings[key]
    settings[path[-1]] = value


def recorded(points: Sequence[tuple[str, list[str]]], arguments: list[str]) -> None:
    """As the launch that trained them (name, overrides) has left it beside them."""
    os.environ[COMMAND_LINE] = json.dumps(arguments)
    with hydra.initialize_config_dir(str(composed.CONF), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        launch = loader.load_configuration("train", arguments[1:], RunMode.MULTIRUN)
    rows = [SweepPoint(name, number, tuple(o), " ".join(o), 7) for number, (name, o) in enumerate(points)]
    add(Path(str(launch.hydra.sweep.dir)), rows)
    Memory.of(launch).add(rows)
    del os.environ[COMMAND_LINE]


def a_trained_run(root: Path) -> Path:
    small = ["seed=0", "conv=standard", "data.n_train=200", "logger=csv", f"output_dir={root}", "sweep=one"]
    subprocess.run([sys.executable, "train.py", "-m", *small], cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)
    return next((root / "sweeps" / "one").glob("*/summary.json")).parent


def used_by(command: list[str]) -> tuple[float, float]:
    """CPU seconds of a command and of all that it starts, and the most memory that one of these processes had, in MB."""
    ctypes.CDLL(None).prctl(SUBREAPER, 1)
    seconds, most = 0.0, 0
    subprocess.Popen([sys.executable, *command], cwd=REPOSITORY, stdout=subprocess.DEVNULL).returncode = 0
    while True:
        try:
            _, status, used = os.wait4(-1, 0)
        except ChildProcessError:
            return seconds, most / 1024
        assert os.waitstatus_to_exitcode(status) in (0, -9), (
            command,
            status,
        )  # -9: the fork server goes with the launch
        seconds, most = seconds + used.ru_utime + used.ru_stime, max(most, used.ru_maxrss)


def table(root: Path) -> None:
    """A second launch, scripts/sweep.py and scripts/compare.py of each grid."""
    template = Template(a_trained_run(root))
    places = ("a second launch, s", "scripts/sweep.py, s", "scripts/compare.py, s", "its memory, MB", "its page, MB")
    print(f"| arms × seeds | {' | '.join(places)} |\n| ---: |{' ---: |' * len(places)}")
    for number, (name, axes) in enumerate(GRIDS.items()):
        fixed = ["data.n_train=200", "logger=csv", f"output_dir={root}", f"sweep=s{number}"]
        typed = arguments(axes, fixed)
        recorded([(asked.name, overrides) for asked, overrides in make(axes, fixed, template)], typed)
        given = [f"sweep=s{number}", f"output_dir={root}"]
        launch, _ = used_by(["train.py", *typed])
        shown, _ = used_by(["scripts/sweep.py", *given])
        compared, memory = used_by(["scripts/compare.py", *given])
        page = (root / "compare" / f"s{number}" / "index.html").stat().st_size / 2**20
        print(f"| {name} | {launch:.1f} | {shown:.1f} | {compared:.1f} | {memory:.0f} | {page:.1f} |", flush=True)
