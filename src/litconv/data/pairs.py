"""Images and their masks, paired by the names of their files."""

from collections.abc import Set
from pathlib import Path

from litconv.data.files import list_images
from litconv.data.splits import folders_in, listed, no_images
from litconv.errors import DataError


def pair_by_stem(images: Path, masks: Path, mask_suffix: str = "") -> list[tuple[str, str]]:
    """(image, mask) files of equal path below their folders, extensions aside, the mask's with `mask_suffix` behind; sorted."""
    image_of, mask_of = stems(images, images, masks), stems(masks, images, masks)
    if not image_of and not mask_of:
        raise no_images(images)
    wanted = {stem + mask_suffix: stem for stem in image_of}
    without = sorted(wanted.keys() - mask_of.keys())
    if without and (better := found_suffix(image_of.keys(), mask_of.keys())) not in (None, mask_suffix):
        if not better:
            raise DataError(
                f"{image_of[wanted[without[0]]]} has no mask {masks / without[0]}.*, but masks are called like their images; "
                f"leave data.mask_suffix={mask_suffix} out"
            )
        count = sum(image + better in mask_of for image in image_of)
        raise DataError(
            f"{image_of[wanted[without[0]]]} has no mask {masks / without[0]}.*, but {count} of {len(image_of)} images have "
            f"one called like them with '{better}' behind; set data.mask_suffix={better}"
        )
    if without:
        image = image_of[wanted[without[0]]]
        raise DataError(f"{image} has no mask {masks / without[0]}.*{nor(without)}; add the mask or remove the file")
    alone = sorted(mask_of.keys() - wanted.keys())
    if alone:
        name = images / alone[0].removesuffix(mask_suffix)
        raise DataError(f"{mask_of[alone[0]]} has no image {name}.*{nor(alone)}; add the image or remove the file")
    return [(image_of[stem], mask_of[stem + mask_suffix]) for stem in sorted(image_of)]


def nor(alone: list[str]) -> str:
    return f" (nor for {len(alone) - 1} more)" if len(alone) > 1 else ""


def stems(folder: Path, images: Path, masks: Path) -> dict[str, str]:
    """Path below the folder, without its extension → file."""
    if not folder.is_dir():
        there = [other.name for other in folders_in(folder.parent)] if folder.parent.is_dir() else []
        said = f" (there: {listed(there)})" if there else ""
        raise DataError(f"{folder} is missing{said}; images belong in {images} and their masks in {masks}")
    found: dict[str, str] = {}
    for path in list_images(folder):
        stem = Path(path).relative_to(folder).with_suffix("").as_posix()
        if stem in found:
            raise DataError(f"{found[stem]} and {path} have the same stem; keep one of them")
        found[stem] = path
    return found


def found_suffix(images: Set[str], masks: Set[str]) -> str | None:
    """What most images' names have behind them in the name of a mask; None where there is no such thing."""
    first = sorted(images)[:10]
    suffixes = {mask[len(image) :] for image in first for mask in masks if mask.startswith(image)}
    covered = {s: sum(image + s in masks for image in images) for s in sorted(suffixes) if "/" not in s}
    best = max(covered, key=covered.get, default=None)
    return best if best is not None and covered[best] > len(images) / 2 else None
