"""One folder per class: root/{train,val,test}/<class>/*, or root/<class>/* without splits, any format PIL reads.

Without val a stratified tenth of train is held out; without test the validation set is tested, or, with `folds`, one of so
many stratified parts of train after the other.
"""

import logging
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from litconv.data.file_set import FileSet
from litconv.data.files import check_channels, list_images, read_dtype, read_size, readable_extensions, sizes_of
from litconv.data.fitting import default_size, said
from litconv.data.module import DataModule
from litconv.data.splits import (
    folders_in,
    has_classes,
    has_train,
    listed,
    no_images,
    say_undecoded,
    say_unread,
    split_folders,
)
from litconv.data.subsets import check_folds, in_folds
from litconv.errors import DataError

log = logging.getLogger(__name__)
LOOKED_AT = 256  # images, for their sizes


@dataclass(kw_only=True, eq=False, repr=False)
class ImageFolder(DataModule):
    """Classification. Images become RGB or, with `in_channels` 1, grey (N, in_channels, H, W), uint8, or uint16 where the
    first has 16 bits; classes are the folders of train, sorted by name."""

    root: str = "data"
    in_channels: Literal[1, 3] = 3
    folds: int | None = None  # a set without val and test is cut into so many parts, by `split_seed`, …
    fold: int | None = None  # … and this one, from 0, is its test split
    crop_padding: int = 4
    flip: bool = True

    def __post_init__(self) -> None:
        check_channels(self.in_channels)
        check_folds(self.folds, self.fold)
        self._sizes: list[tuple[int, int]] = []  # of some images, where they are unlike
        super().__post_init__()

    def native_size(self) -> tuple[int, int]:
        """Of the first training image, by its header; of photos of unlike sizes one that suits them."""
        first = read_size(self._first())
        sizes = [first, *sizes_of(self._some(), LOOKED_AT)]
        if len(set(sizes)) == 1:
            return first
        self._sizes, self._resize, self.fit = sizes, True, self.fit or "crop"
        return default_size(sizes)

    def count_classes(self) -> int | None:
        """As many as train has folders; None where it is not there."""
        root = Path(self.root).expanduser()
        there = has_train(root) or has_classes(root)
        return len(self._classes(self._split_folders()["train"])) if there else None

    def load(self) -> dict[str, FileSet]:
        splits, root = self._split_folders(), Path(self.root).expanduser()
        self.class_names = tuple(self._classes(splits["train"]))
        self._check_classes(splits["train"])
        if splits["train"] != root:
            say_unread(root, splits.values())
        if self._sizes:
            log.info("data.root=%s: %s", root, said(self._sizes, self.image_size, self.fit))
        first = self._first()
        dtype, like = read_dtype(first, self.in_channels), "" if self._resize else first
        unread: Counter[str] = Counter()
        found = {name: self._files(folder, unread) for name, folder in splits.items()}
        say_undecoded(Path(self.root).expanduser(), unread)
        sets = {
            name: FileSet(
                images,
                self.image_size,
                self._resize,
                fit=self.fit or "stretch",
                labels=torch.tensor(labels),
                like=like,
                channels=self.in_channels,
                dtype=dtype,
            )
            for name, (images, labels) in found.items()
        }
        if self.folds is not None:
            sets = in_folds(sets, self.folds, self.fold, self.split_seed)
        if splits["train"] == root:
            self._say_split(len(sets["train"]), len(sets.get("test", ())))
        return sets

    def _say_split(self, rest: int, tested: int) -> None:
        """Of a set without splits, what was made of it."""
        done = (
            f"{tested} are tested on (fold {self.fold} of {self.folds}), and a tenth of each class of the other {rest} is held "
            "out for validation"
            if tested
            else "a tenth of each class is held out for validation, and tested on as well"
        )
        log.info(
            "data.root=%s has no splits: of %d images of %d classes %s, by data.split_seed=%d%s",
            *(self.root, rest + tested, len(self.class_names), done, self.split_seed),
            "" if tested else "; data.folds=5 data.fold=0 tests on a fifth of its own",
        )

    def _files(self, split: Path, unread: Counter[str]) -> tuple[list[str], list[int]]:
        """The images of a split and their labels."""
        images, labels = [], []
        for name in self._classes(split):
            if name not in self.class_names:
                known = ", ".join(self.class_names)
                raise DataError(f"{split / name} is a class that train lacks; it has {known}: rename or remove it")
            files = list_images(split / name, unread)
            if not files:
                raise no_images(split / name)
            images += files
            labels += [self.class_names.index(name)] * len(files)
        readable = readable_extensions()
        loose = sorted(p.name for p in split.iterdir() if p.suffix.lower() in readable and p.name[0] != ".")
        if loose:
            log.warning("%s: not read, for they lie in no class's folder: %s", split, listed(loose))
        return images, labels

    def _split_folders(self) -> dict[str, Path]:
        root = Path(self.root).expanduser()
        return {"train": root} if has_classes(root) else split_folders(root, "train/<class>/*, or <class>/*")

    def _classes(self, split: Path) -> list[str]:
        classes = sorted(folder.name for folder in folders_in(split))
        if not classes:
            raise DataError(f"{split} has no class folders; expected {split}/<class>/*")
        return classes

    def _check_classes(self, train: Path) -> None:
        """One class alone is told apart from none: accuracy 1 and loss 0 from the first step."""
        if len(self.class_names) == 1:
            only = train / self.class_names[0]
            inside = [folder.name for folder in folders_in(only)]
            deeper = f"; it holds {listed(inside)}: if these are the classes, move them to {train}" if inside else ""
            raise DataError(
                f"{only} is the only class, and one alone cannot be learned; add a folder of another{deeper}"
            )

    def _some(self) -> list[str]:
        """The training images."""
        train = self._split_folders()["train"]
        return [path for name in self._classes(train) for path in list_images(train / name)]

    def _first(self) -> str:
        train = self._split_folders()["train"]
        folder = train / self._classes(train)[0]
        files = list_images(folder)
        if not files:
            raise no_images(folder)
        return files[0]
