"""CamVid, the 11 classes of SegNet at 360×480: road scenes. https://arxiv.org/abs/1511.00561

Laid out as `mask_folder` (root/{train,val,test}/{images,masks}) or as SegNet's archive (root/{train,trainannot,…}).
"""

from dataclasses import dataclass
from pathlib import Path

from litconv.data.class_list import ClassList
from litconv.data.mask_folder import MaskFolder
from litconv.data.sizes import Size
from litconv.data.splits import split_folders

CLASSES = (
    *("sky", "building", "pole", "road", "pavement", "tree", "sign_symbol", "fence", "car", "pedestrian", "bicyclist"),
    "unlabelled (ignore)",
)


@dataclass(kw_only=True, eq=False, repr=False)
class CamVid(MaskFolder):
    """Segmentation, 11 classes; id 11 is ignored."""

    root: str = "data/camvid"
    image_size: Size | None = (360, 480)
    scale: tuple[float, float] = (0.5, 2.0)

    def count_classes(self) -> int:
        return len(self.classes().names)

    def folders(self) -> dict[str, tuple[Path, Path]]:
        root = Path(self.root).expanduser()
        if (root / "trainannot").is_dir():
            splits = split_folders(root, "train/* and trainannot/*")
            return {name: (folder, root / f"{folder.name}annot") for name, folder in splits.items()}
        return super().folders()

    def classes(self) -> ClassList:
        return ClassList(dict(enumerate(CLASSES)), self._ignored)
