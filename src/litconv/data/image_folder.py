"""One folder per class: root/{train,val,test}/<class>/*, any format PIL reads.

Without val a stratified tenth of train is held out; without test the validation set is tested.
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from litconv.data.file_set import FileSet
from litconv.data.files import list_images, read_size
from litconv.data.module import DataModule
from litconv.errors import DataError


def split_folders(root: Path, inside: str) -> dict[str, Path]:
    """The folders root/train, root/val and root/test that exist."""
    if not root.is_dir():
        raise DataError(f"data.root={root} is not a folder; set data.root to the folder that holds {inside}")
    splits = {name: root / name for name in ("train", "val", "test") if (root / name).is_dir()}
    if "train" not in splits:
        raise DataError(f"data.root={root} has no folder 'train'; expected {inside}")
    return splits


@dataclass(kw_only=True, eq=False, repr=False)
class ImageFolder(DataModule):
    """Classification. Images become uint8 RGB (N, 3, H, W); classes are the folders of train, sorted by name."""

    root: str = "data"
    crop_padding: int = 4
    flip: bool = True

    def native_size(self) -> tuple[int, int]:
        """Of the first training image, by its header."""
        return read_size(self._first())

    def count_classes(self) -> int | None:
        """As many as train has folders; None where it is not there."""
        train = Path(self.root).expanduser() / "train"
        return len(self._classes(train)) if train.is_dir() else None

    def load(self) -> dict[str, FileSet]:
        splits = self._split_folders()
        self.class_names = tuple(self._classes(splits["train"]))
        like = "" if self._resize else self._first()
        return {name: self._files(folder, like) for name, folder in splits.items()}

    def _files(self, split: Path, like: str) -> FileSet:
        images, labels = [], []
        for name in self._classes(split):
            if name not in self.class_names:
                known = ", ".join(self.class_names)
                raise DataError(f"{split / name} is a class that train lacks; it has {known}: rename or remove it")
            files = list_images(split / name)
            if not files:
                raise DataError(f"{split / name} holds no images; add some or remove the folder")
            images += files
            labels += [self.class_names.index(name)] * len(files)
        return FileSet(images, self.image_size, self._resize, labels=torch.tensor(labels), like=like)

    def _split_folders(self) -> dict[str, Path]:
        return split_folders(Path(self.root).expanduser(), "train/<class>/*")

    def _classes(self, split: Path) -> list[str]:
        classes = sorted(entry.name for entry in split.iterdir() if entry.is_dir() and not entry.name.startswith("."))
        if not classes:
            raise DataError(f"{split} has no class folders; expected {split}/<class>/*")
        return classes

    def _first(self) -> str:
        train = self._split_folders()["train"]
        folder = train / self._classes(train)[0]
        files = list_images(folder)
        if not files:
            raise DataError(f"{folder} holds no images; add some or remove the folder")
        return files[0]
