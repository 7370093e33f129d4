"""One folder that travels to a machine with a GPU and without a network: python benchmarks/gpu_bundle.py --out FOLDER

It holds this code, the wheels that the machine lacks, CIFAR-10's images in one file (20,000 of them, at most 30 MB) where
`--cifar10` names them, and run.sh. There: `bash FOLDER/run.sh DIR` installs the wheels into a temporary folder and runs
benchmarks/gpu.py, which packs its reports into DIR/gpu.tar.gz.
`--has` is what `pip list` or `pip freeze` says on that machine; without it, a usual machine for PyTorch is taken. Wheels are
fetched for `--python` on Linux, x86-64; what is published as source alone is built here, if it is pure Python. `--wheels` names a
folder that has them already. Versions are those that are installed here.
"""

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
from gpu_parts import packed
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
CODE = ("train.py", "pyproject.toml", "src", "conf", "scripts", "benchmarks")
IMAGES = {"train": 16_000, "test": 4_000}
# What a run needs; loggers, the comparison and its figures are left out.
NEEDED = {"hydra-core", "fvcore", "pytorch-lightning", "torchmetrics", "torchvision", "pandas", "scipy", "nvidia-ml-py"}
USUAL = """torch torchvision pytorch-lightning lightning-utilities torchmetrics numpy pandas scipy pillow tqdm packaging pyyaml
nvidia-ml-py fsspec aiohttp tabulate portalocker typing-extensions setuptools python-dateutil six pytz tzdata"""
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
RUN = """#!/usr/bin/env bash
# bash run.sh DIR [arguments of benchmarks/gpu.py]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?"bash run.sh DIR"}
shift
site=$(mktemp -d)
trap 'rm -rf "$site"' EXIT
python=${PYTHON:-python3}
if ls "$here"/wheels/*.whl > /dev/null 2>&1; then
    "$python" -m pip install -q --no-index --no-deps --no-compile --target "$site" "$here"/wheels/*.whl ||
        for wheel in "$here"/wheels/*.whl; do "$python" -m zipfile -e "$wheel" "$site"; done # there is no pip
fi
images=()
if [ -f "$here/cifar10.npz" ]; then images=(--images "$here/cifar10.npz"); fi
export PYTHONPATH="$site:$here/src${PYTHONPATH:+:$PYTHONPATH}"
"$python" "$here/benchmarks/gpu.py" --out "$out" "${images[@]}" "$@"
"""


def lacking(needed: Iterable[str], has: set[str]) -> dict[str, str]:
    """Name → version: these and all that they need, but for what the machine has."""
    wanted: dict[str, str] = {}
    waiting = list(needed)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in has or name in wanted:
            continue
        try:
            found = distribution(name)
        except PackageNotFoundError:
            sys.exit(f"error: {name} is not installed here, so that no version of it can be chosen")
        wanted[name] = found.version
        waiting += [
            r.name
            for r in map(Requirement, found.requires or ())
            if r.marker is None or r.marker.evaluate({"extra": ""})
        ]
    return dict(sorted(wanted.items()))


def names(listing: str) -> set[str]:
    """Of pip list, pip freeze, or a name a line."""
    firsts = [re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line) for line in listing.splitlines()]
    return {canonicalize_name(first[0]) for first in firsts if first} - {"package"}


def fetch(wanted: dict[str, str], folder: Path, python: str, given: Path | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, version in wanted.items():
        if given and (there := list(wheels_of(given, name, version))):
            shutil.copy(there[0], folder)
            continue
        pinned = f"{name}=={version}"
        target = [option for platform in PLATFORMS for option in ("--platform", platform)]
        target += ["--only-binary=:all:", "--python-version", python, "--implementation", "cp"]
        if not pip("download", "--no-deps", *target, "-d", str(folder), pinned):
            if not pip("wheel", "--no-deps", "-w", str(folder), pinned):
                sys.exit(f"error: {pinned} has no wheel for Python {python} and cannot be built; put one into --wheels")
            if not any(path.name.endswith("-none-any.whl") for path in wheels_of(folder, name, version)):
                sys.exit(f"error: {pinned} was built for this machine alone; put a wheel for the other into --wheels")


def pip(*arguments: str) -> bool:
    quiet = ("-q", "--disable-pip-version-check")
    return subprocess.run([sys.executable, "-m", "pip", *arguments, *quiet], capture_output=True).returncode == 0


def wheels_of(folder: Path, name: str, version: str) -> Iterator[Path]:
    for path in sorted(folder.glob("*.whl")):
        its_name, its_version, *_ = path.name.split("-")
        if canonicalize_name(its_name) == name and its_version == version:
            yield path


def copy_code(out: Path) -> None:
    for name in CODE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(
                source, out / name, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
            )
        else:
            shutil.copy(source, out / name)


def images_of(root: Path) -> tuple[dict[str, packed.Split], list[str]]:
    """Of torchvision's batches or of folders of images, as many of each class as of any other."""
    from torchvision import datasets

    splits, classes = {}, []
    for name, count in IMAGES.items():
        if (root / "cifar-10-batches-py").is_dir():
            data = datasets.CIFAR10(root, train=name == "train")
            targets, read = np.array(data.targets), lambda index, data=data: data.data[index]
        else:
            data = datasets.DatasetFolder(root / name, loader=lambda path: np.asarray(Image.open(path).convert("RGB")),
                                          extensions=(".png", ".jpg", ".jpeg"))  # fmt: skip
            targets, read = np.array(data.targets), lambda index, data=data: data[index][0]
        classes = list(data.classes)
        each = count // len(classes)
        chosen = np.sort(np.concatenate([np.flatnonzero(targets == label)[:each] for label in range(len(classes))]))
        splits[name] = np.stack([read(index) for index in chosen]), targets[chosen].astype(np.int64)
    return splits, classes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cifar10", type=Path, metavar="FOLDER", help="holds cifar-10-batches-py, or train/<class>/*")
    parser.add_argument("--has", type=Path, metavar="FILE", help="pip list of the other machine")
    parser.add_argument("--python", default="3.12", help="of the other machine; %(default)s")
    parser.add_argument("--wheels", type=Path, metavar="FOLDER", help="wheels that need not be fetched")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    wanted = lacking(NEEDED, names(given.has.read_text()) if given.has else set(USUAL.split()))
    fetch(wanted, given.out / "wheels", given.python, given.wheels)
    copy_code(given.out)
    (given.out / "run.sh").write_text(RUN)
    if given.cifar10:
        splits, classes = images_of(given.cifar10)
        quality = packed.pack(splits, classes, given.out / "cifar10.npz")
        print(f"{sum(len(targets) for _, targets in splits.values())} images as JPEG of quality {quality}")
    size = sum(path.stat().st_size for path in given.out.rglob("*") if path.is_file()) / 1e6
    print(f"{given.out}: {size:.0f} MB, with {', '.join(f'{n} {v}' for n, v in wanted.items()) or 'no wheels'}")
    print(f"there: bash {given.out.name}/run.sh DIR")


if __name__ == "__main__":
    main()
