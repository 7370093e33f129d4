"""Pascal VOC segmentation, as torchvision keeps it: root/VOCdevkit/VOC2012. http://host.robots.ox.ac.uk/pascal/VOC/

Its train and val lists; the test masks are not public, so the validation set is tested.
"""

from dataclasses import dataclass
from pathlib import Path

from torchvision import datasets

from litconv.data.class_list import ClassList
from litconv.data.file_set import FileSet
from litconv.data.module import DataModule
from litconv.data.sizes import Size
from litconv.data.torchvision_sets import fetch, mark, missing
from litconv.errors import DataError

CLASSES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
BORDER = 255  # the id around objects: ignored


@dataclass(kw_only=True, eq=False, repr=False)
class VOC(DataModule):
    """Segmentation, 21 classes: 1,464 + 1,449 photographs of many sizes, resized to `image_size`, and palette masks."""

    root: str = "data"
    download: bool = False
    image_size: Size | None = (256, 256)
    batch_size: int = 16
    flip: bool = True
    scale: tuple[float, float] = (0.5, 2.0)

    tasks = frozenset({"segmentation"})

    def count_classes(self) -> int:
        return len(CLASSES)

    @property
    def folder(self) -> Path:
        return Path(self.root).expanduser() / "VOCdevkit" / "VOC2012"

    def prepare_data(self) -> None:
        if self.download and (
            not self.folder.is_dir() or mark(self.folder).exists()
        ):  # it would unpack all of it again
            fetch(datasets.VOCSegmentation, self.root, self.folder, year="2012")

    def load(self) -> dict[str, FileSet]:
        if not self.folder.is_dir():
            raise missing(self.root, self.folder)
        classes = ClassList(dict(enumerate(CLASSES)), {BORDER})
        self.class_names, self.ignore_index = classes.names, classes.ignore_index
        splits = {}
        for name in ("train", "val"):
            listed = self.folder / "ImageSets" / "Segmentation" / f"{name}.txt"
            if not listed.is_file():
                raise DataError(f"{listed} is missing; unpack the whole archive, or set data.download=true")
            stems = listed.read_text().split()
            if not stems:
                raise DataError(f"{listed} lists no images; unpack the archive again")
            images = [str(self.folder / "JPEGImages" / f"{stem}.jpg") for stem in stems]
            masks = [str(self.folder / "SegmentationClass" / f"{stem}.png") for stem in stems]
            splits[name] = FileSet(
                images, self.image_size, resize=True, fit=self.fit or "stretch", masks=masks, classes=classes
            )
        return splits
