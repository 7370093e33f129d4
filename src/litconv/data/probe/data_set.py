"""The data set of probes: splits of one kind, made in memory from `data_seed`, in blocks of some hundred images."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch

from litconv.data.loader import Arrays
from litconv.data.module import DataModule
from litconv.data.options import require_whole
from litconv.data.probe.kind import Block, Kind
from litconv.data.probe.kinds import KINDS
from litconv.data.sizes import Size, show
from litconv.errors import ConfigError, did_you_mean

BLOCK_PIXELS = 2**19  # drawn from one generator: a smaller split is the beginning of a larger one


@dataclass(kw_only=True, eq=False, repr=False)
class Probe(DataModule):
    """uint8 (N, 3, H, W); targets labels (N,), their classes taking turns, or masks (N, H, W)."""

    kind: str = "context"
    difficulty: float | None = None  # None: the kind's default
    task: str = "classification"
    image_size: Size | None = (32, 32)
    n_train: int = 4000
    n_val: int = 1000
    n_test: int = 1000
    data_seed: int = 0  # of the images
    batch_size: int = 32
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.25, 0.25, 0.25)

    tasks = frozenset({"classification", "segmentation"})  # of which a kind may have one alone
    reads_files = False

    def __post_init__(self) -> None:
        self._kind = self._chosen()
        require_whole(self, dict.fromkeys(("n_train", "n_val", "n_test"), 1))
        super().__post_init__()
        if self.cache_dir is not None:
            raise ConfigError(f"data.cache_dir={self.cache_dir} has no effect: probes are made in memory; remove it")
        if self.flip and not self._kind.may_be_flipped:
            raise ConfigError(f"data.flip=true changes the answer of data.kind={self.kind}; use data.flip=false")
        self._check_difficulty()

    def _chosen(self) -> type[Kind]:
        if self.kind not in KINDS:
            meant = did_you_mean(str(self.kind), KINDS)
            raise ConfigError(f"data.kind={self.kind} is no probe{meant}; there are {', '.join(KINDS)}")
        kind = KINDS[self.kind]
        if self.task not in kind.chance:
            others = ", ".join(name for name, other in KINDS.items() if self.task in other.chance) or "none"
            raise ConfigError(f"data.kind={self.kind} has no task={self.task}; kinds that do: {others}")
        return kind

    def _check_difficulty(self) -> None:
        kind, size = self._kind, f"data.image_size={show(self.image_size)}"
        least, most = kind.least, kind.most(self.image_size)
        if most < least:
            raise ConfigError(f"{size} is too small for data.kind={self.kind} at any difficulty; use 32")
        asked = self.difficulty
        if asked is None:
            if kind.default > most:
                raise ConfigError(
                    f"{size} is too small for data.kind={self.kind} at its default data.difficulty={kind.default}; "
                    f"use {least} to {most:.4g}, or larger images"
                )
            self.difficulty = kind.default
        elif type(asked) not in (int, float) or not least <= asked <= most or (kind.whole and asked != int(asked)):
            number = "a whole number" if kind.whole else "a number"
            raise ConfigError(
                f"data.difficulty={asked} of data.kind={self.kind} ({kind.meaning}) must be {number} "
                f"from {least} to {most:.4g} at {size}"
            )

    def count_classes(self) -> int:
        return len(self._names())

    def _names(self) -> tuple[str, ...]:
        return self._kind.mask_classes if self.task == "segmentation" else self._kind.classes

    def load(self) -> dict[str, Arrays]:
        self.class_names = self._names()
        counts = {"train": self.n_train, "val": self.n_val, "test": self.n_test}
        return {name: self._split(name, count) for name, count in counts.items()}

    def _split(self, name: str, count: int) -> Arrays:
        """Block by block, so that no more than one is there as floating-point numbers."""
        height, width = self.image_size
        in_masks, step = self.task == "segmentation", max(BLOCK_PIXELS // (height * width), 1)
        labels = np.arange(count + step) % len(self._kind.classes)
        images = np.empty((count, 3, height, width), np.uint8)
        masks = np.empty((count, height, width), np.uint8) if in_masks else None
        for start in range(0, count, step):
            rng = generator(self.data_seed, self.kind, name, start // step)
            block = Block(rng, labels[start : start + step], self.image_size, self.difficulty, name == "test")
            here = slice(start, start + step)
            if masks is None:
                drawn = self._kind().labelled(block)
            else:
                drawn, marked = self._kind().masked(block)
                masks[here] = marked[: count - start]
            images[here] = np.rint(np.clip(127.5 + 127.5 * drawn[: count - start], 0, 255))
        return Arrays(torch.from_numpy(images), torch.from_numpy(labels[:count] if masks is None else masks))


def generator(*key: int | str) -> np.random.Generator:
    """Of its own for this key."""
    digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))
