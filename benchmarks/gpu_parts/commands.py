"""Runs of litconv as a user starts them, in processes of their own, on packed images."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from gpu_parts import packed
from gpu_parts.part import Setting

ROOT = Path(__file__).resolve().parents[2]


def images_of(setting: Setting) -> tuple[list[str], bool]:
    """The overrides that name the set, and whether it is a real one."""
    path = setting.images
    if path is None:
        path = setting.folder / "drawn.npz"
        counts = {"train": 256, "test": 64} if setting.quick else {"train": 16000, "test": 4000}
        splits = {name: packed.drawn(n, 10, seed) for seed, (name, n) in enumerate(counts.items())}
        packed.pack(splits, [f"direction {k}" for k in range(10)], path)
    target = ["data=cifar10", "data._target_=gpu_parts.packed.Packed", "allowed_packages=[gpu_parts]"]
    small = ["data.n_train=128", "data.batch_size=32"] if setting.quick else []
    return [*target, f"data.root={path}", *small], setting.images is not None


def network(setting: Setting) -> list[str]:
    """ResNet-20, or where it is to be quick a small one."""
    return ["backbone.depth=8", "width=0.5", "threads=1"] if setting.quick else ["backbone.depth=20"]


def accelerator(setting: Setting) -> str:
    return f"trainer.accelerator={'cpu' if setting.quick else 'gpu'}"


def train(setting: Setting, *arguments: str) -> subprocess.Popen:
    """`python train.py …`; its output lies in the part's log."""
    command = [sys.executable, str(ROOT / "train.py"), *arguments, "logger=csv", accelerator(setting)]
    environment = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    return subprocess.Popen([*command, f"output_dir={setting.folder}"], env=environment, cwd=setting.folder)


def summary(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / "summary.json").read_text())
    except (FileNotFoundError, ValueError):
        return {}
