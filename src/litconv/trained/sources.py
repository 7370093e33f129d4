"""Which images are meant: a file, a folder, a glob, a picture in memory, or a list of them."""

import glob
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from litconv.data.files import list_images
from litconv.errors import ConfigError
from litconv.files import local
from litconv.trained.preparing import Source


def sources_of(images: Source | Iterable[Source]) -> list[Source]:
    """In the order that is given; of a folder and of a glob sorted by name. At least one."""
    if isinstance(images, Image.Image | np.ndarray):
        return [images]
    if isinstance(images, str | Path):
        return files_of(images)
    if not isinstance(images, Iterable) or isinstance(images, Tensor):
        raise ConfigError(
            f"images of type {type(images).__name__} cannot be read; give a file, a folder, a glob, a PIL image, a uint8 "
            "array (height, width, 3), or a list of them"
        )
    found = [source for image in images for source in sources_of(image)]
    if not found:
        raise ConfigError("images=[] names no image; give a file, a folder, a glob, or a list of them")
    return found


def files_of(place: str | Path) -> list[Source]:
    """A file is taken whatever its ending is; of a folder, at any depth, those that end as images do."""
    path = local(place, "images").expanduser()
    if path.is_dir():
        if not (found := list_images(path)):
            raise ConfigError(f"images={place} holds no image that can be read; give another folder, or files")
        return list(found)
    if path.exists():
        return [str(path)]
    matches = glob.glob(str(path), recursive=True)  # noqa: PTH207 - Path's takes no absolute pattern
    found = sorted(match for match in matches if Path(match).is_file())
    if not found:
        what = "matches no file" if any(sign in str(place) for sign in "*?[") else "is no file and no folder"
        raise ConfigError(f"images={place} {what}")
    return list(found)
