"""Images and masks paired by file stem: root/{train,val,test}/{images,masks}/*, in any formats, and root/classes.txt.

classes.txt: see `class_list`. Without val a tenth of train is held out; without test the validation set is tested.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from litconv.data.class_list import ClassList, read_class_list
from litconv.data.file_set import FileSet
from litconv.data.files import check_channels, list_images, read_dtype, read_size
from litconv.data.mask_survey import missing, wrong_count
from litconv.data.module import DataModule
from litconv.data.pairs import pair_by_stem
from litconv.data.splits import folder_called, has_train, say_unread, split_folders
from litconv.errors import ConfigError


@dataclass(kw_only=True, eq=False, repr=False)
class MaskFolder(DataModule):
    """Segmentation. Images become RGB or, with `in_channels` 1, grey (N, in_channels, H, W), uint8, or uint16 where the
    first has 16 bits; masks, files of ids or of the colours that classes.txt gives, classes uint8 (N, H, W).

    The option `ignore_index` is an id in the mask files to leave out besides those that classes.txt marks; from `setup`
    on the attribute is the value that stands for all of them in the batches.
    """

    root: str = "data"
    in_channels: Literal[1, 3] = 3
    mask_suffix: str = ""  # what a mask's name has behind its image's: _mask for 001.jpg and 001_mask.png
    ignore_index: int | None = None
    batch_size: int = 8
    flip: bool = True

    tasks = frozenset({"segmentation"})

    def __post_init__(self) -> None:
        self._ignored = set() if self.ignore_index is None else {self.ignore_index}
        if not all(type(number) is int and 0 <= number <= 65535 for number in self._ignored):
            raise ConfigError(f"data.ignore_index={self.ignore_index} must be an id between 0 and 65535, or null")
        check_channels(self.in_channels)
        super().__post_init__()

    def native_size(self) -> tuple[int, int]:
        """Of the first training image, by its header."""
        return read_size(self._first())

    def count_classes(self) -> int | None:
        """By classes.txt; None where the set is not there."""
        return len(self.classes().names) if has_train(Path(self.root).expanduser()) else None

    def load(self) -> dict[str, FileSet]:
        folders, classes = self.folders(), self.classes()
        self.class_names, self.ignore_index, self.class_colours = classes.names, classes.ignore_index, classes.palette
        if not 2 <= len(self.class_names) <= 255:
            masks = self.all_masks() if len(self.class_names) < 2 else []
            raise wrong_count(f"data.root={self.root}", masks, classes)
        say_unread(Path(self.root).expanduser(), self.folders_read(folders))
        first = self._first()
        dtype, like = read_dtype(first, self.in_channels), "" if self._resize else first
        splits = {}
        for name, (image_folder, mask_folder) in folders.items():
            images, masks = zip(*pair_by_stem(image_folder, mask_folder, self.mask_suffix), strict=True)
            splits[name] = FileSet(
                images,
                self.image_size,
                self._resize,
                fit=self.fit or "stretch",
                masks=masks,
                classes=classes,
                like=like,
                channels=self.in_channels,
                dtype=dtype,
            )
        return splits

    def folders(self) -> dict[str, tuple[Path, Path]]:
        """The folders of images and of masks of each split."""
        splits = split_folders(Path(self.root).expanduser(), "train/images/*, train/masks/* and classes.txt")
        return {
            name: (folder_called("images", folder), folder_called("masks", folder)) for name, folder in splits.items()
        }

    def folders_read(self, folders: dict[str, tuple[Path, Path]]) -> list[Path]:
        """Those of the root that hold them."""
        root = Path(self.root).expanduser()
        return [root / path.relative_to(root).parts[0] for pair in folders.values() for path in pair]

    def classes(self) -> ClassList:
        path = Path(self.root).expanduser() / "classes.txt"
        if not path.is_file():
            raise missing(path, self.all_masks(), self._ignored)
        return read_class_list(path, self._ignored)

    def all_masks(self) -> list[str]:
        return [mask for _, folder in self.folders().values() if folder.is_dir() for mask in list_images(folder)]

    def _first(self) -> str:
        return pair_by_stem(*self.folders()["train"], self.mask_suffix)[0][0]
