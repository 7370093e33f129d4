"""Images and masks in files: finding them, reading one. Every fault is a DataError that names the file.

Only PIL decodes (torchvision.io ends the process on some broken files). Orientation tags (EXIF) are not applied.
"""

import os
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from litconv.errors import DataError

MAX_PIXELS = Image.MAX_IMAGE_PIXELS  # of an image; above it PIL warns of a decompression bomb, here it is refused
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # the refusal says it

INVALID = -1  # in a table of mask ids


def list_images(folder: Path) -> list[str]:
    """Every file under `folder`, at any depth, whose extension PIL can read, sorted; hidden files left out."""
    Image.preinit()  # the common formats first, or every JPEG is offered to a dozen rare ones before
    readable = {extension for extension, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    paths = []
    for where, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        suffixes = ((name, os.path.splitext(name)[1].lower()) for name in files)  # noqa: PTH122 - of 60,000
        paths += [f"{where}/{name}" for name, suffix in suffixes if suffix in readable and name[0] != "."]
    return sorted(paths)


def open_image(path: str) -> Image.Image:
    """The file's header: its size and mode are known, its pixels not yet decoded."""
    try:
        image = Image.open(path)
    except FileNotFoundError:
        raise DataError(f"{path} is missing; restore it or take it off the list") from None
    except Image.DecompressionBombError:
        raise DataError(f"{path} has over {2 * MAX_PIXELS} pixels, the limit is {MAX_PIXELS}; scale it down") from None
    except Exception as error:  # PIL's plugins raise SyntaxError, struct.error, … for broken files
        raise _broken(path, error) from error
    if image.width * image.height > MAX_PIXELS:
        raise DataError(f"{path} has {image.width * image.height} pixels, the limit is {MAX_PIXELS}; scale it down")
    return image


def read_size(path: str) -> tuple[int, int]:
    """(height, width) from the header."""
    with open_image(path) as image:
        return image.height, image.width


def read_image(path: str) -> Image.Image:
    """8-bit RGB, its own size."""
    with open_image(path) as image:
        if image.mode.startswith(("I", "F")):
            raise DataError(f"{path} has {image.mode} pixels, more than 8 bits a channel; save it as 8-bit grey or RGB")
        try:
            if image.mode == "P" and "transparency" in image.info:
                image = image.convert("RGBA")
            image.load()
            return image if image.mode == "RGB" else image.convert("RGB")
        except Exception as error:
            raise _broken(path, error) from error


def read_mask(path: str, table: np.ndarray) -> np.ndarray:
    """The class of each pixel, uint8 (H, W). `table` maps the file's ids to classes; a palette's indices are ids."""
    with open_image(path) as image:
        if len(image.getbands()) != 1 or image.mode == "F":
            raise DataError(
                f"{path} has {image.mode} pixels; a mask has one channel, the class id; save it as 8-bit grey"
            )
        try:
            ids = np.asarray(image).astype(np.int32)
        except Exception as error:
            raise _broken(path, error) from error
    known = (ids >= 0) & (ids < len(table))
    classes = table[np.where(known, ids, 0)]
    wrong = ~known | (classes == INVALID)
    if wrong.any():
        unknown, accepted = ids[wrong][0], _ranges(np.flatnonzero(table != INVALID))
        raise DataError(
            f"{path} holds id {unknown}, which is none of the classes (ids {accepted}); "
            f"correct the mask, add the class, or ignore it with data.ignore_index={unknown}"
        )
    return classes.astype(np.uint8)


def _broken(path: str, error: Exception) -> DataError:
    if not Path(path).is_file():
        reason = "it is not a file"
    elif not Path(path).stat().st_size:
        reason = "it is empty"
    else:
        reason = " ".join(str(error).replace(repr(path), "it").split()) or type(error).__name__
    return DataError(f"{path} cannot be read as an image ({reason}); replace or remove it")


def _ranges(ids: np.ndarray) -> str:
    """[0, 1, 2, 255] → '0-2, 255'."""
    runs = np.split(ids, np.flatnonzero(np.diff(ids) > 1) + 1)
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
