"""Images in files: finding them, reading one upright. Every fault is a DataError that names the file.

Only PIL decodes (torchvision.io ends the process on some broken files).
"""

import os
import warnings
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from litconv.errors import ConfigError, DataError

MAX_PIXELS = Image.MAX_IMAGE_PIXELS  # of an image; above it PIL warns of a decompression bomb, here it is refused
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # the refusal says it
warnings.filterwarnings("ignore", message="Corrupt EXIF data")  # it then turns nothing, and the warning names no file

NOT_OF_THE_SET = {
    "__MACOSX",
    "@eaDir",
}  # folders that archivers and file servers leave behind, with images of their own
NOT_DECODED = {  # images and volumes that PIL has no decoder for
    *(".heic", ".heif", ".jxl", ".svg", ".exr", ".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2"),
    *(".dcm", ".nii", ".mha", ".nrrd", ".npy", ".npz", ".mat", ".h5", ".mp4", ".mov", ".avi"),
}
DEEP_GREY = {"PNG", "PPM"}  # formats whose 32-bit pixels (mode I) are 16-bit values, as the file has them
BETWEEN = {"LAB": "RGB", "La": "LA"}  # modes that PIL makes grey, or RGB, in two steps alone
# EXIF's orientation → how the stored picture is turned to stand upright
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def check_channels(channels: int) -> None:
    if channels not in (1, 3):
        raise ConfigError(f"data.in_channels={channels} must be 1 (grey) or 3 (RGB)")


def is_left_out(name: str) -> bool:
    """Whether a file or folder of this name is none of the set's."""
    return name.startswith(".") or name in NOT_OF_THE_SET


def list_images(folder: Path, unread: Counter[str] | None = None) -> list[str]:
    """Every file under `folder`, at any depth, whose extension PIL can read, sorted; hidden files left out. `unread` counts
    the extensions of images that it cannot read."""
    readable, paths = readable_extensions(), []
    for where, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not is_left_out(name) and not leads_back(where, name)]
        suffixes = [(name, os.path.splitext(name)[1].lower()) for name in files]  # noqa: PTH122 - of 60,000
        if unread is not None:
            unread.update(suffix for name, suffix in suffixes if suffix in NOT_DECODED and name[0] != ".")
        paths += [f"{where}/{name}" for name, suffix in suffixes if suffix in readable and name[0] != "."]
    return sorted(paths)


def readable_extensions() -> set[str]:
    Image.preinit()  # the common formats first, or every JPEG is offered to a dozen rare ones before
    return {extension for extension, kind in Image.registered_extensions().items() if kind in Image.OPEN}


def leads_back(where: str, name: str) -> bool:
    """Whether the folder is a link to one that it lies in, which a walk would go through without end."""
    path = Path(where, name)
    return path.is_symlink() and Path(where).resolve().is_relative_to(path.resolve())


def open_image(path: str) -> Image.Image:
    """The file's header: its size and mode are known, its pixels not yet decoded."""
    try:
        if not os.path.isfile(path) and os.path.exists(path):  # noqa: PTH110, PTH113 - of 60,000; a pipe would be waited for
            raise OSError("it is not a file")
        image = Image.open(path)
    except FileNotFoundError:
        raise DataError(f"{path} is missing; restore it or take it off the list") from None
    except Image.DecompressionBombError:
        raise DataError(f"{path} has over {2 * MAX_PIXELS} pixels, the limit is {MAX_PIXELS}; scale it down") from None
    except Exception as error:  # PIL's plugins raise SyntaxError, struct.error, … for broken files
        raise broken(path, error) from error
    if image.width * image.height > MAX_PIXELS:
        raise DataError(f"{path} has {image.width * image.height} pixels, the limit is {MAX_PIXELS}; scale it down")
    return image


def read_size(path: str) -> tuple[int, int]:
    """(height, width) of the upright picture, from the header; decoded only where EXIF turns it."""
    with open_image(path) as image:
        if turn(image) is not None:
            image = upright(path, image)
        return image.height, image.width


def sizes_of(paths: Sequence[str], most: int) -> list[tuple[int, int]]:
    """Of so many of them, spread evenly. One that is broken is named when it is decoded."""
    sizes = []
    for path in paths[:: max(len(paths) // most, 1)]:
        with suppress(DataError):
            sizes.append(read_size(path))
    return sizes


def read_frames(path: str) -> int:
    """How many pictures the file holds: of an animation, of a TIFF of pages. The first is what is read."""
    with open_image(path) as image:
        try:
            return getattr(image, "n_frames", 1)
        except Exception as error:  # of a broken file, from wherever in it PIL was
            raise broken(path, error) from error


def read_dtype(path: str, channels: int) -> type:
    """uint16 for one channel of 16 bits, else uint8; from the header."""
    if channels != 1:
        return np.uint8
    with open_image(path) as image:
        return np.uint16 if has_16_bits(image) else np.uint8


def read_image(path: str, channels: int = 3, dtype: type = np.uint8) -> Image.Image:
    """Upright, its own size: 8-bit RGB (mode RGB), 8-bit grey (L), or 16-bit grey (I;16), to which 8 bits are stretched."""
    with open_image(path) as image:
        return as_read(path, image, channels, dtype)


def as_read(path: str, image: Image.Image, channels: int, dtype: type) -> Image.Image:
    """The same of an image that is open; `path` is what messages call it."""
    if image.mode.startswith(("I", "F")):
        check_depth(path, image, channels, dtype)
    image = opaque(upright(path, image))
    mode = "RGB" if channels == 3 else "L"
    if image.mode.startswith("I"):
        return Image.fromarray(np.asarray(image).astype(np.uint16))
    if image.mode != mode:
        image = image.convert(BETWEEN.get(image.mode, image.mode)).convert(mode)
    return image if dtype == np.uint8 else Image.fromarray(np.asarray(image).astype(np.uint16) * 257)  # 255 → 65535


def has_16_bits(image: Image.Image) -> bool:
    return image.mode.startswith("I;16") or (image.mode == "I" and image.format in DEEP_GREY)


def check_depth(path: str, image: Image.Image, channels: int, dtype: type) -> None:
    """Refuse what would be cut off: more than 16 bits, and 16 where 8 are kept."""
    said = f"{path} has {image.mode} pixels, more than 8 bits a channel"
    if not has_16_bits(image):
        raise DataError(f"{said}, whose range is not known; save it as 8-bit or 16-bit grey, or as RGB")
    if channels != 1:
        raise DataError(f"{said}; save it as 8-bit grey or RGB, or train on grey images: data.in_channels=1")
    if dtype != np.uint16:
        raise DataError(f"{said}, and the first image of train has 8; save all images with the same depth")


def turn(image: Image.Image) -> Image.Transpose | None:
    """What its EXIF tag asks for."""
    try:
        return TURNS.get(image.getexif().get(ExifTags.Base.Orientation))
    except Exception:  # PIL raises whatever it meets in a broken tag, which then says nothing
        return None


def decoded(path: str, image: Image.Image) -> Image.Image:
    try:
        image.load()
    except Exception as error:
        raise broken(path, error) from error
    return image


def upright(path: str, image: Image.Image) -> Image.Image:
    """Decoded, and turned as its EXIF tag says. (PIL turns a TIFF while it decodes, and takes the tag away.)"""
    method = turn(decoded(path, image))
    return image if method is None else image.transpose(method)


def opaque(image: Image.Image) -> Image.Image:
    """A palette without its transparency, of which PIL would warn."""
    return image.convert("RGBA") if image.mode == "P" and "transparency" in image.info else image


def broken(path: str, error: Exception) -> DataError:
    if not Path(path).is_file():
        reason = "it is not a file"
    elif not Path(path).stat().st_size:
        reason = "it is empty"
    else:
        reason = " ".join(str(error).replace(f" {path!r}", "").split()) or type(error).__name__
    return DataError(f"{path} cannot be read as an image ({reason}); replace or remove it")
