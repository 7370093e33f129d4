"""Masks in files: reading one. A mask holds a code a pixel: an id, or a colour as 0xRRGGBB."""

import numpy as np
from PIL import Image

from litconv.data.class_list import INVALID, ClassList
from litconv.data.files import opaque, open_image, upright
from litconv.errors import DataError

LOSSY = {"JPEG", "MPO", "AVIF"}  # formats of photographs, whose pixels are near those that were drawn


class UnknownCodeError(DataError):
    """A mask with a code that is none of the classes; the message is what is known from this mask alone."""


class LossyMaskError(DataError):
    """Its codes are not those that were drawn."""


class DepthError(DataError):
    """Colours where ids are expected."""


def read_mask(path: str, classes: ClassList, table: np.ndarray) -> np.ndarray:
    """The class of each pixel, upright: uint8 (H, W). `table` is that of `classes`."""
    codes = read_codes(path, in_colours=bool(classes.colours))
    ids = ids_of(codes, classes) if classes.colours else codes
    known = (ids >= 0) & (ids < len(table))
    found = table[np.where(known, ids, 0)]
    wrong = ~known | (found == INVALID)
    if wrong.any():
        code = shown(codes[wrong][0], bool(classes.colours))
        share = f"{percent(np.mean(codes == codes[wrong][0]))} of its pixels"
        raise UnknownCodeError(f"{path} holds {code} in {share}, which is none of the classes")
    return found.astype(np.uint8)


def read_codes(path: str, in_colours: bool) -> np.ndarray:
    """int32 (H, W): the ids (of a palette its indices), or the colours."""
    with open_image(path) as image:
        if is_lossy(path, image):
            raise LossyMaskError(
                f"{path} is a {image.format} file: it is lossy, and its pixels are not the ids or colours that were drawn; "
                "export the masks anew as PNG, TIFF or BMP"
            )
        if image.mode == "F" or (in_colours and image.mode.startswith("I")):
            raise DepthError(
                f"{path} has {image.mode} pixels, which are no {'colours' if in_colours else 'ids (8-bit grey)'}"
            )
        if not in_colours and len(image.getbands()) != 1:
            raise DepthError(f"{path} has {image.mode} pixels; a mask has one channel, the class id (8-bit grey)")
        image = upright(path, image)
    if not in_colours:
        return np.asarray(image).astype(np.int32)
    red, green, blue = np.moveaxis(np.asarray(opaque(image).convert("RGB")).astype(np.int32), 2, 0)
    return red << 16 | green << 8 | blue


def is_lossy(path: str, image: Image.Image) -> bool:
    if image.format == "WEBP":  # of its two codings the first chunk of a plain file says which
        with open(path, "rb") as file:  # noqa: PTH123 - a str
            return file.read(16)[12:] == b"VP8 "
    return image.format in LOSSY


def ids_of(codes: np.ndarray, classes: ClassList) -> np.ndarray:
    """Of a mask of colours; INVALID where none of the classes has the colour."""
    colours = {packed(colour): number for number, colour in classes.colours.items()}
    order = np.array(sorted(colours), np.int32)
    place = np.searchsorted(order, codes).clip(max=len(order) - 1)
    ids = np.array([colours[code] for code in order.tolist()], np.int32)[place]
    return np.where(order[place] == codes, ids, INVALID)


def packed(colour: tuple[int, int, int]) -> int:
    return colour[0] << 16 | colour[1] << 8 | colour[2]


def shown(code: int, in_colours: bool) -> str:
    """'id 7', 'colour 255 0 0'."""
    return f"colour {code >> 16} {code >> 8 & 255} {code & 255}" if in_colours else f"id {code}"


def percent(share: float) -> str:
    return f"{share:.1%}" if share >= 0.0005 else "under 0.1%"
