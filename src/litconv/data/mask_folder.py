"""Images and masks paired by file stem: root/{train,val,test}/{images,masks}/*, in any formats, and root/classes.txt.

classes.txt: a class a line, "0 sky" or just "sky" (its id is then the line's number, from 0); a line ending in
"(ignore)" is no class: its pixels are left out of loss and metrics. Without val a tenth of train is held out; without
test the validation set is tested.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from litconv.data.file_set import FileSet
from litconv.data.files import INVALID, list_images, read_size
from litconv.data.image_folder import split_folders
from litconv.data.module import DataModule
from litconv.errors import ConfigError, DataError

IGNORED = "(ignore)"


def read_classes(path: Path) -> dict[int, str]:
    """{id: name}, the names of ignored ids ending in IGNORED."""
    if not path.is_file():
        raise DataError(f"{path} is missing; write one class a line, such as '0 sky'")
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise DataError(f"{path} is not a text file; write one class a line, such as '0 sky'") from None
    numbered = [re.fullmatch(r"(\d+)[\s:,]+(\S.*)", line) for line in lines]
    if all(numbered):
        pairs = [(int(match[1]), match[2]) for match in numbered]
    elif any(numbered):
        odd = lines[numbered.index(None)]
        raise DataError(f"{path}: the line {odd!r} has no id while others have; write '0 sky' on every line or on none")
    else:
        pairs = list(enumerate(lines))
    classes: dict[int, str] = {}
    for number, name in pairs:
        if number in classes or name in classes.values():
            raise DataError(f"{path}: '{number} {name}' repeats an id or a name; each may stand once")
        if number > 65535:
            raise DataError(f"{path}: id {number} of '{name}' is above 65535, the most a 16-bit mask can hold")
        classes[number] = name
    return classes


def mask_table(classes: Mapping[int, str], ignored: set[int]) -> tuple[tuple[str, ...], np.ndarray, int]:
    """(names, table from mask ids to 0, 1, …, the ignored ids' value there or -100).

    That value is an ignored id itself where it lies outside 0..num_classes−1 (CamVid's 11, VOC's 255), else 255.
    """
    kept = [number for number in sorted(classes) if number not in ignored]
    ignore_index = next((number for number in sorted(ignored) if len(kept) <= number <= 255), 255) if ignored else -100
    table = np.full(max([*classes, *ignored], default=0) + 1, INVALID, np.int16)
    table[kept] = range(len(kept))
    table[sorted(ignored)] = ignore_index
    return tuple(classes[number] for number in kept), table, ignore_index


@dataclass(kw_only=True, eq=False, repr=False)
class MaskFolder(DataModule):
    """Segmentation. Images become uint8 RGB (N, 3, H, W); masks, single-channel files of ids, classes uint8 (N, H, W).

    The option `ignore_index` is an id in the mask files to leave out besides those that classes.txt marks; from `setup`
    on the attribute is the value that stands for all of them in the batches.
    """

    root: str = "data"
    ignore_index: int | None = None
    batch_size: int = 8
    flip: bool = True

    tasks = frozenset({"segmentation"})

    def __post_init__(self) -> None:
        self._ignored = set() if self.ignore_index is None else {self.ignore_index}
        if not all(type(number) is int and 0 <= number <= 65535 for number in self._ignored):
            raise ConfigError(f"data.ignore_index={self.ignore_index} must be an id between 0 and 65535, or null")
        super().__post_init__()

    def native_size(self) -> tuple[int, int]:
        """Of the first training image, by its header."""
        return read_size(self._first())

    def count_classes(self) -> int | None:
        """By classes.txt; None where the set is not there."""
        return len(self.table()[0]) if Path(self.root).expanduser().is_dir() else None

    def table(self) -> tuple[tuple[str, ...], np.ndarray, int]:
        """See `mask_table`."""
        classes = self.classes()
        ignored = {number for number, name in classes.items() if name.endswith(IGNORED)} | self._ignored
        return mask_table(classes, ignored)

    def load(self) -> dict[str, FileSet]:
        folders = self.folders()
        self.class_names, table, self.ignore_index = self.table()
        if not 1 <= len(self.class_names) <= 255:
            raise DataError(f"data.root={self.root} has {len(self.class_names)} classes to learn; it needs 1 to 255")
        like = "" if self._resize else self._first()
        splits = {}
        for name, (image_folder, mask_folder) in folders.items():
            images, masks = zip(*pair_by_stem(image_folder, mask_folder), strict=True)
            splits[name] = FileSet(images, self.image_size, self._resize, masks=masks, table=table, like=like)
        return splits

    def folders(self) -> dict[str, tuple[Path, Path]]:
        """The folders of images and of masks of each split."""
        splits = split_folders(Path(self.root).expanduser(), "train/images/*, train/masks/* and classes.txt")
        return {name: (folder / "images", folder / "masks") for name, folder in splits.items()}

    def classes(self) -> dict[int, str]:
        """{id in the masks: name}, see `read_classes`."""
        return read_classes(Path(self.root).expanduser() / "classes.txt")

    def _first(self) -> str:
        return pair_by_stem(*self.folders()["train"])[0][0]


def pair_by_stem(images: Path, masks: Path) -> list[tuple[str, str]]:
    """(image, mask) files of equal path below their folders, extensions aside; sorted."""
    both = []
    for folder in (images, masks):
        if not folder.is_dir():
            raise DataError(f"{folder} is missing; images belong in {images} and their masks in {masks}")
        stems: dict[str, str] = {}
        for path in list_images(folder):
            stem = Path(path).relative_to(folder).with_suffix("").as_posix()
            if stem in stems:
                raise DataError(f"{stems[stem]} and {path} have the same stem; keep one of them")
            stems[stem] = path
        both.append(stems)
    if not both[0] and not both[1]:
        raise DataError(f"{images} holds no images; add some or remove the split")
    for mine, others, folder, what in ((*both, masks, "mask"), (*both[::-1], images, "image")):
        alone = sorted(mine.keys() - others.keys())
        if alone:
            more = f" (nor for {len(alone) - 1} more)" if len(alone) > 1 else ""
            raise DataError(
                f"{mine[alone[0]]} has no {what} {folder / alone[0]}.*{more}; add the {what} or remove the file"
            )
    return [(both[0][stem], both[1][stem]) for stem in sorted(both[0])]
