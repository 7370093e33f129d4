"""What it takes until a command answers, or takes its first step: python benchmarks/startup.py

CPU seconds (user and system) of the process and all that it starts, the commands in turns, medians over the rounds; the
unit is an import of Hydra, which every one of them needs. .pyc files are there, the data is in the cache.
"""

import argparse
import statistics
import tempfile
from functools import partial
from pathlib import Path

from processes import PYTHON, seconds_of, seconds_to_first_step

REPOSITORY = Path(__file__).resolve().parents[1]
TRAIN = [PYTHON, "train.py"]
ENDED = {  # name → (command, exit status)
    "`import hydra`": ([PYTHON, "-c", "import hydra"], 0),
    "`train.py --help`": ([*TRAIN, "--help"], 0),
    "a typo, `conv=groupd`": ([*TRAIN, "conv=groupd"], 1),
    "an unknown key, `grups=4`": ([*TRAIN, "grups=4"], 1),
    "a bad type, `width=abc`": ([*TRAIN, "width=abc"], 1),
    "no effect, `conv=standard groups=8`": ([*TRAIN, "conv=standard", "groups=8"], 1),
    "what only the model knows, `conv=grouped groups=3`": ([*TRAIN, "conv=grouped", "groups=3"], 1),
    "`import torch`": ([PYTHON, "-c", "import torch"], 0),
    "`import pytorch_lightning`": ([PYTHON, "-c", "import pytorch_lightning"], 0),
    "`scripts/cost.py`, one model": ([PYTHON, "scripts/cost.py"], 0),
}
STARTED = {
    "`train.py logger=csv` to its first step": [*TRAIN, "logger=csv"],
    "`train.py` with wandb offline to its first step": [*TRAIN],
    "a sweep of one point, `logger=csv`, to its first step": [*TRAIN, "-m", "logger=csv", "seed=0"],
}
SMALL = ("trainer=debug", "trainer.accelerator=cpu", "cost.latency.enabled=false")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="litconv-startup-") as folder:
        ways = {name: partial(seconds_of, *command, REPOSITORY) for name, command in ENDED.items()}
        for name, command in STARTED.items():
            whole = [*command, *SMALL, f"output_dir={folder}"]
            ways[name] = partial(seconds_to_first_step, whole, REPOSITORY, Path(folder))
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(-1, rounds):  # the first warms up
            for name, way in ways.items():
                used = way()
                if number >= 0:
                    seconds[name].append(used)
    unit = seconds["`import hydra`"]
    print("| command | CPU seconds | ÷ `import hydra` |\n| --- | ---: | ---: |")
    for name, used in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(used, unit, strict=True))
        print(f"| {name} | {statistics.median(used):.2f} | {ratio:.1f} |")


if __name__ == "__main__":
    main()
