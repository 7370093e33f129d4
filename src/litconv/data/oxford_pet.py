"""Oxford-IIIT Pet, as torchvision keeps it: root/oxford-iiit-pet. https://www.robots.ox.ac.uk/~vgg/data/pets/

3,680 + 3,669 photographs of cats and dogs: 37 breeds, or for segmentation the trimap's pet, background and border.
A tenth of trainval, stratified by breed, is held out for validation.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torchvision import datasets

from litconv.data.class_list import ClassList
from litconv.data.file_set import FileSet
from litconv.data.module import DataModule
from litconv.data.sizes import Size
from litconv.data.torchvision_sets import fetch, missing
from litconv.errors import ConfigError, DataError

TRIMAP = {1: "pet", 2: "background", 3: "border"}
BREEDS = 37


@dataclass(kw_only=True, eq=False, repr=False)
class OxfordPet(DataModule):
    """Both tasks. Images are resized to `image_size`: uint8 (N, 3, H, W); targets breeds (N,) or trimaps (N, H, W)."""

    root: str = "data"
    download: bool = False
    task: str = "classification"
    image_size: Size | None = (128, 128)
    batch_size: int = 32
    flip: bool = True
    crop_padding: int = 8

    tasks = frozenset({"classification", "segmentation"})

    def __post_init__(self) -> None:
        if self.task not in self.tasks:
            raise ConfigError(f"data.task={self.task} must be one of {', '.join(sorted(self.tasks))}")
        super().__post_init__()

    def count_classes(self) -> int:
        return len(TRIMAP) if self.task == "segmentation" else BREEDS

    @property
    def folder(self) -> Path:
        return Path(self.root).expanduser() / "oxford-iiit-pet"

    def prepare_data(self) -> None:
        if self.download:
            fetch(datasets.OxfordIIITPet, self.root, self.folder)

    def load(self) -> dict[str, FileSet]:
        if not self.folder.is_dir():
            raise missing(self.root, self.folder)
        lists = {name: self._read_list(listed) for name, listed in (("train", "trainval"), ("test", "test"))}
        classes = ClassList(TRIMAP) if self.task == "segmentation" else None
        if classes is not None:
            self.class_names, self.ignore_index = classes.names, classes.ignore_index
        else:
            breeds = {label: stem.rsplit("_", 1)[0].replace("_", " ") for stem, label in lists["train"]}
            if sorted(breeds) != list(range(len(breeds))):
                raise DataError(
                    f"{self.folder}/annotations/trainval.txt skips a class; unpack annotations.tar.gz again"
                )
            self.class_names = tuple(breeds[label] for label in sorted(breeds))
        return {name: self._files(listed, classes) for name, listed in lists.items()}

    def _read_list(self, name: str) -> list[tuple[str, int]]:
        """(stem, breed from 0) of every line "Abyssinian_100 1 1 1"."""
        path = self.folder / "annotations" / f"{name}.txt"
        if not path.is_file():
            raise DataError(f"{path} is missing; unpack annotations.tar.gz, or set data.download=true")
        lines = [line.split() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
        for line in lines:
            if len(line) != 4 or not line[1].isdigit() or int(line[1]) < 1:
                raise DataError(f"{path}: {' '.join(line)!r} is not 'name class species breed'; unpack it again")
        if not lines:
            raise DataError(f"{path} lists no images; unpack annotations.tar.gz again")
        return [(line[0], int(line[1]) - 1) for line in lines]

    def _files(self, listed: list[tuple[str, int]], classes: ClassList | None) -> FileSet:
        images = [str(self.folder / "images" / f"{stem}.jpg") for stem, _ in listed]
        labels = torch.tensor([label for _, label in listed])
        masks = None
        if classes is not None:
            masks = [str(self.folder / "annotations" / "trimaps" / f"{stem}.png") for stem, _ in listed]
        return FileSet(
            images, self.image_size, resize=True, fit=self.fit or "stretch", labels=labels, masks=masks, classes=classes
        )
